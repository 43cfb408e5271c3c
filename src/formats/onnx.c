// SPDX-License-Identifier: MIT
// Builds an ONNX graph from protobuf-c messages, and writes the graph straight into a file. The messages lie in the
// graph's arena.
#include "formats/onnx.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "third_party/onnx/onnx.pb-c.h"

#define TYPE(word) CLRNN_ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__##word

// One allocation of the arena. All are freed with the graph.
struct piece {
    struct piece *next;
    max_align_t data[];
};

struct clrnn_onnx {
    const struct clrnn_log *log;
    struct piece *pieces;
    bool failed;    // memory ran out
    unsigned names; // number of names generated so far
    ClrnnOnnx__ModelProto model;
    ClrnnOnnx__GraphProto graph, *now; // now: the graph or body to which nodes are added
    ClrnnOnnx__GraphProto **body;      // [bodies]; clrnn_onnx_set_body uses body[bodies - 1]
    size_t bodies;
    ClrnnOnnx__OperatorSetIdProto opset, *opsets[1];
    ClrnnOnnx__NodeProto *last; // the node appended last
};

// ---------------------------------------------------------------- memory

static void *take(struct clrnn_onnx *o, size_t size)
{
    struct piece *piece = o->failed ? NULL : calloc(1, sizeof(*piece) + size);

    if (!piece) {
        o->failed = true;
        return NULL;
    }
    piece->next = o->pieces;
    o->pieces = piece;
    return piece->data;
}

static char *copy(struct clrnn_onnx *o, const char *text)
{
    char *copied = text ? take(o, strlen(text) + 1) : NULL;

    if (copied)
        memcpy(copied, text, strlen(text) + 1);
    return copied;
}

static char *new_name(struct clrnn_onnx *o, const char *stem)
{
    char text[80];

    snprintf(text, sizeof(text), "%.60s_%u", stem, o->names++);
    return copy(o, text);
}

// Creates a message in the arena. `descriptor` is protobuf-c's descriptor of the message's type. NULL: memory ran out.
#define NEW(o, type, descriptor) ((type *)make(o, sizeof(type), &(descriptor)))

static void *make(struct clrnn_onnx *o, size_t size, const ProtobufCMessageDescriptor *descriptor)
{
    void *message = take(o, size);

    if (message)
        protobuf_c_message_init(descriptor, message);
    return message;
}

// Appends a message to the array of a repeated field. The array is not in the arena; clrnn_onnx_destroy frees it.
#define APPEND(o, array, count, message) \
    do { \
        void *message_ = (message); \
        if (!message_ || !ARRAY_GROW(array, count)) \
            (o)->failed = true; \
        else \
            (array)[(count)++] = message_; \
    } while (0)

enum clrnn_status clrnn_onnx_create(const struct clrnn_log *log, const char *graph_name, struct clrnn_onnx **onnx)
{
    struct clrnn_onnx *o = calloc(1, sizeof(*o));

    *onnx = o;
    if (!o)
        return clrnn_error_memory(log, sizeof(*o), "an ONNX graph");
    o->log = log;
    clrnn_onnx__model_proto__init(&o->model);
    clrnn_onnx__graph_proto__init(&o->graph);
    clrnn_onnx__operator_set_id_proto__init(&o->opset);
    o->graph.name = copy(o, graph_name);
    o->now = &o->graph;
    o->opset.domain = copy(o, "");
    o->opset.has_version = true;
    o->opset.version = CLRNN_ONNX_OPSET;
    o->opsets[0] = &o->opset;
    o->model.n_opset_import = 1;
    o->model.opset_import = o->opsets;
    o->model.has_ir_version = true;
    o->model.ir_version = CLRNN_ONNX_IR;
    o->model.producer_name = copy(o, "clRNN");
    o->model.producer_version = copy(o, clrnn_version());
    o->model.graph = &o->graph;
    return CLRNN_OK;
}

static void free_graph(ClrnnOnnx__GraphProto *graph)
{
    for (size_t i = 0; i < graph->n_node; i++) {
        free(graph->node[i]->input);
        free(graph->node[i]->output);
        free(graph->node[i]->attribute);
    }
    free(graph->node);
    free(graph->initializer);
    free(graph->input);
    free(graph->output);
}

void clrnn_onnx_destroy(struct clrnn_onnx **onnx)
{
    struct clrnn_onnx *o = *onnx;

    *onnx = NULL;
    if (!o)
        return;
    free_graph(&o->graph);
    for (size_t i = 0; i < o->bodies; i++)
        free_graph(o->body[i]);
    free(o->body);
    free(o->model.metadata_props);
    while (o->pieces) {
        struct piece *next = o->pieces->next;

        free(o->pieces);
        o->pieces = next;
    }
    free(o);
}

// ---------------------------------------------------------------- inputs and outputs

static ClrnnOnnx__TensorShapeProto__Dimension *make_dim(struct clrnn_onnx *o, int64_t value, const char *name)
{
    ClrnnOnnx__TensorShapeProto__Dimension *dim =
        NEW(o, ClrnnOnnx__TensorShapeProto__Dimension, clrnn_onnx__tensor_shape_proto__dimension__descriptor);

    if (!dim)
        return NULL;
    if (name) {
        dim->value_case = CLRNN_ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
        dim->dim_param = copy(o, name);
    } else {
        dim->value_case = CLRNN_ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        dim->dim_value = value;
    }
    return dim;
}

static ClrnnOnnx__ValueInfoProto *make_value(struct clrnn_onnx *o, const char *name, enum clrnn_onnx_type type,
                                             unsigned ndim, const int64_t *dims, const char *const *dim_names)
{
    ClrnnOnnx__ValueInfoProto *value = NEW(o, ClrnnOnnx__ValueInfoProto, clrnn_onnx__value_info_proto__descriptor);
    ClrnnOnnx__TypeProto *any = NEW(o, ClrnnOnnx__TypeProto, clrnn_onnx__type_proto__descriptor);
    ClrnnOnnx__TypeProto__Tensor *tensor =
        NEW(o, ClrnnOnnx__TypeProto__Tensor, clrnn_onnx__type_proto__tensor__descriptor);
    ClrnnOnnx__TensorShapeProto *shape =
        NEW(o, ClrnnOnnx__TensorShapeProto, clrnn_onnx__tensor_shape_proto__descriptor);
    ClrnnOnnx__TensorShapeProto__Dimension **dim = take(o, ndim * sizeof(*dim));

    if (!value || !any || !tensor || !shape || !dim)
        return NULL;
    for (unsigned i = 0; i < ndim; i++) {
        dim[i] = make_dim(o, dims[i], dim_names ? dim_names[i] : NULL);
        if (!dim[i])
            return NULL;
    }
    shape->n_dim = ndim;
    shape->dim = dim;
    tensor->has_elem_type = true;
    tensor->elem_type = (int32_t)type;
    tensor->shape = shape;
    any->value_case = CLRNN_ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    any->tensor_type = tensor;
    value->name = copy(o, name);
    value->type = any;
    return value;
}

const char *clrnn_onnx_input(struct clrnn_onnx *o, const char *name, enum clrnn_onnx_type type, unsigned ndim,
                             const int64_t *dims, const char *const *dim_names)
{
    ClrnnOnnx__ValueInfoProto *value = make_value(o, name, type, ndim, dims, dim_names);

    APPEND(o, o->now->input, o->now->n_input, value);
    return value ? value->name : NULL;
}

void clrnn_onnx_output(struct clrnn_onnx *o, const char *name, enum clrnn_onnx_type type, unsigned ndim,
                       const int64_t *dims, const char *const *dim_names)
{
    APPEND(o, o->now->output, o->now->n_output, make_value(o, name, type, ndim, dims, dim_names));
}

// ---------------------------------------------------------------- constants

static ClrnnOnnx__TensorProto *make_tensor(struct clrnn_onnx *o, const char *name, enum clrnn_onnx_type type,
                                           unsigned ndim, const int64_t *dims, size_t *count)
{
    ClrnnOnnx__TensorProto *t = NEW(o, ClrnnOnnx__TensorProto, clrnn_onnx__tensor_proto__descriptor);

    *count = 1;
    if (!t)
        return NULL;
    t->name = name ? copy(o, name) : new_name(o, "constant");
    t->has_data_type = true;
    t->data_type = (int32_t)type;
    t->n_dims = ndim;
    t->dims = take(o, ndim * sizeof(*t->dims));
    for (unsigned i = 0; t->dims && i < ndim; i++) {
        t->dims[i] = dims[i];
        *count *= (size_t)dims[i];
    }
    return t->dims ? t : NULL;
}

const char *clrnn_onnx_floats(struct clrnn_onnx *o, const char *name, unsigned ndim, const int64_t *dims,
                              const double *values)
{
    size_t count;
    ClrnnOnnx__TensorProto *t = make_tensor(o, name, CLRNN_ONNX_FLOAT, ndim, dims, &count);

    if (!t)
        return NULL;
    t->n_float_data = count;
    t->float_data = take(o, count * sizeof(*t->float_data));
    for (size_t i = 0; t->float_data && i < count; i++)
        t->float_data[i] = (float)values[i];
    APPEND(o, o->graph.initializer, o->graph.n_initializer, t);
    return t->name;
}

static const char *put_integers(struct clrnn_onnx *o, unsigned ndim, unsigned count, const int64_t *values)
{
    size_t size;
    ClrnnOnnx__TensorProto *t = make_tensor(o, NULL, CLRNN_ONNX_INT64, ndim, &(int64_t){(int64_t)count}, &size);

    if (!t)
        return NULL;
    t->n_int64_data = count;
    t->int64_data = take(o, count * sizeof(*values));
    if (t->int64_data)
        memcpy(t->int64_data, values, count * sizeof(*values));
    APPEND(o, o->graph.initializer, o->graph.n_initializer, t);
    return t->name;
}

const char *clrnn_onnx_scalar(struct clrnn_onnx *o, double value)
{
    return clrnn_onnx_floats(o, NULL, 0, NULL, &value);
}

const char *clrnn_onnx_integer(struct clrnn_onnx *o, int64_t value)
{
    return put_integers(o, 0, 1, &value);
}

const char *clrnn_onnx_integers(struct clrnn_onnx *o, unsigned count, const int64_t *values)
{
    return put_integers(o, 1, count, values);
}

// ---------------------------------------------------------------- nodes

const char *clrnn_onnx_node(struct clrnn_onnx *o, const char *op, ...)
{
    ClrnnOnnx__NodeProto *node = NEW(o, ClrnnOnnx__NodeProto, clrnn_onnx__node_proto__descriptor);
    const char *input;
    va_list inputs;

    if (!node)
        return NULL;
    APPEND(o, o->now->node, o->now->n_node, node);
    if (o->failed)
        return NULL;
    o->last = node;
    node->op_type = copy(o, op);
    va_start(inputs, op);
    while ((input = va_arg(inputs, const char *)))
        APPEND(o, node->input, node->n_input, copy(o, input));
    va_end(inputs);
    while (!o->failed && node->n_input && !*node->input[node->n_input - 1])
        node->n_input--; // drops omitted inputs at the end, because some runtimes reject them
    node->name = new_name(o, op);
    APPEND(o, node->output, node->n_output, copy(o, node->name));
    return o->failed ? NULL : node->output[0];
}

const char *clrnn_onnx_more(struct clrnn_onnx *o)
{
    if (o->failed)
        return NULL;
    APPEND(o, o->last->output, o->last->n_output, new_name(o, o->last->op_type));
    return o->failed ? NULL : o->last->output[o->last->n_output - 1];
}

void clrnn_onnx_rename(struct clrnn_onnx *o, const char *name)
{
    if (!o->failed)
        o->last->output[0] = copy(o, name);
}

static ClrnnOnnx__AttributeProto *add_attribute(struct clrnn_onnx *o, const char *key,
                                                ClrnnOnnx__AttributeProto__AttributeType type)
{
    ClrnnOnnx__AttributeProto *a = NEW(o, ClrnnOnnx__AttributeProto, clrnn_onnx__attribute_proto__descriptor);

    if (!a || !o->last)
        return NULL;
    a->name = copy(o, key);
    a->has_type = true;
    a->type = type;
    APPEND(o, o->last->attribute, o->last->n_attribute, a);
    return o->failed ? NULL : a;
}

void clrnn_onnx_set_integer(struct clrnn_onnx *o, const char *key, int64_t value)
{
    ClrnnOnnx__AttributeProto *a = add_attribute(o, key, TYPE(INT));

    if (!a)
        return;
    a->has_i = true;
    a->i = value;
}

void clrnn_onnx_set_integers(struct clrnn_onnx *o, const char *key, size_t count, const int64_t *values)
{
    ClrnnOnnx__AttributeProto *a = add_attribute(o, key, TYPE(INTS));

    if (!a)
        return;
    a->ints = take(o, count * sizeof(*a->ints));
    if (!a->ints)
        return;
    memcpy(a->ints, values, count * sizeof(*values));
    a->n_ints = count;
}

void clrnn_onnx_set_float(struct clrnn_onnx *o, const char *key, double value)
{
    ClrnnOnnx__AttributeProto *a = add_attribute(o, key, TYPE(FLOAT));

    if (!a)
        return;
    a->has_f = true;
    a->f = (float)value;
}

static ProtobufCBinaryData make_bytes(struct clrnn_onnx *o, const char *text)
{
    return (ProtobufCBinaryData){.len = strlen(text), .data = (uint8_t *)copy(o, text)};
}

void clrnn_onnx_set_string(struct clrnn_onnx *o, const char *key, const char *value)
{
    ClrnnOnnx__AttributeProto *a = add_attribute(o, key, TYPE(STRING));

    if (!a)
        return;
    a->has_s = true;
    a->s = make_bytes(o, value);
}

void clrnn_onnx_set_strings(struct clrnn_onnx *o, const char *key, size_t count, const char *value)
{
    ClrnnOnnx__AttributeProto *a = add_attribute(o, key, TYPE(STRINGS));

    if (!a)
        return;
    a->strings = take(o, count * sizeof(*a->strings));
    for (size_t i = 0; a->strings && i < count; i++)
        a->strings[i] = make_bytes(o, value);
    a->n_strings = a->strings ? count : 0;
}

const char *clrnn_onnx_squeeze(struct clrnn_onnx *onnx, const char *x, int64_t axis)
{
    return CLRNN_ONNX_NODE(onnx, "Squeeze", x, clrnn_onnx_integers(onnx, 1, &axis));
}

const char *clrnn_onnx_unsqueeze(struct clrnn_onnx *onnx, const char *x, int64_t axis)
{
    return CLRNN_ONNX_NODE(onnx, "Unsqueeze", x, clrnn_onnx_integers(onnx, 1, &axis));
}

void clrnn_onnx_begin_body(struct clrnn_onnx *o, const char *name)
{
    ClrnnOnnx__GraphProto *graph = NEW(o, ClrnnOnnx__GraphProto, clrnn_onnx__graph_proto__descriptor);

    APPEND(o, o->body, o->bodies, graph);
    if (o->failed)
        return;
    graph->name = copy(o, name);
    o->now = graph;
}

const char *clrnn_onnx_body_input(struct clrnn_onnx *o, const char *stem, enum clrnn_onnx_type type, unsigned ndim,
                                  const int64_t *dims, const char *const *dim_names)
{
    const char *name = new_name(o, stem);

    return name ? clrnn_onnx_input(o, name, type, ndim, dims, dim_names) : NULL;
}

void clrnn_onnx_end_body(struct clrnn_onnx *o)
{
    o->now = &o->graph;
}

void clrnn_onnx_set_body(struct clrnn_onnx *o, const char *key)
{
    ClrnnOnnx__AttributeProto *a = add_attribute(o, key, TYPE(GRAPH));

    if (a)
        a->g = o->body[o->bodies - 1];
}

void clrnn_onnx_metadata(struct clrnn_onnx *o, const char *key, const char *value)
{
    ClrnnOnnx__StringStringEntryProto *entry =
        NEW(o, ClrnnOnnx__StringStringEntryProto, clrnn_onnx__string_string_entry_proto__descriptor);

    if (!entry)
        return;
    entry->key = copy(o, key);
    entry->value = copy(o, value);
    APPEND(o, o->model.metadata_props, o->model.n_metadata_props, entry);
}

// ---------------------------------------------------------------- file

struct sink {
    ProtobufCBuffer base;
    struct clrnn_out *out;
};

static void append_to_file(ProtobufCBuffer *buffer, size_t size, const uint8_t *data)
{
    clrnn_out_write(((struct sink *)buffer)->out, data, size); // a failure is returned by clrnn_out_commit
}

enum clrnn_status clrnn_onnx_write(struct clrnn_onnx *o, const char *path)
{
    struct sink sink = {.base = {append_to_file}};
    size_t size;

    if (o->failed)
        return clrnn_error_memory(o->log, 0, "an ONNX graph");
    size = clrnn_onnx__model_proto__get_packed_size(&o->model);
    if (size > INT32_MAX)
        return clrnn_error(o->log, CLRNN_ERR_CONFIG, "%s: the model has %zu bytes, ONNX files have at most %d", path,
                           size, INT32_MAX);
    TRY(clrnn_out_open(o->log, path, &sink.out));
    clrnn_onnx__model_proto__pack_to_buffer(&o->model, &sink.base);
    return clrnn_out_commit(&sink.out);
}
