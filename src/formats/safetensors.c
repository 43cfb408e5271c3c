// SPDX-License-Identifier: MIT
// Reading and writing safetensors files (format: huggingface/safetensors, README "Format").
#include "formats/safetensors.h"

#include <jansson.h>
#include <string.h>

#include "base/array.h"
#include "base/json.h"

// Limits, as doc/library.md states them. The number of punctuation marks in the header's JSON is limited, because the
// memory that the parsed JSON takes depends on this number more than on the number of bytes. The entry of a matrix has
// 12 marks.
enum { MAX_HEADER_BYTES = 16 << 20, MAX_TENSORS = 40960, MAX_HEADER_MARKS = 12 * MAX_TENSORS };

static const char *const dtype_names[] = {
#define X(name, size, npy, safetensors, word) safetensors,
    CLRNN_DTYPE_LIST(X)
#undef X
};

// ---------------------------------------------------------------- reading

static bool find_dtype(const char *name, enum clrnn_dtype *dtype)
{
    for (size_t i = 0; name && i < ARRAY_SIZE(dtype_names); i++)
        if (!strcmp(dtype_names[i], name)) {
            *dtype = (enum clrnn_dtype)i;
            return true;
        }
    return false;
}

// Reads one entry of the header into *t. The area of the tensors' data begins at `data` and has `data_bytes` bytes.
static enum clrnn_status read_tensor(const struct clrnn_log *log, const struct clrnn_safetensors *file,
                                     const char *name, const json_t *entry, const unsigned char *data,
                                     size_t data_bytes, struct clrnn_safetensor *t)
{
    const json_t *dtype = json_object_get(entry, "dtype"), *shape = json_object_get(entry, "shape");
    const json_t *offsets = json_object_get(entry, "data_offsets");
    json_int_t first, last;
    size_t bytes;

    t->name = clrnn_format("%s", name);
    if (!t->name)
        return clrnn_error_memory(log, strlen(name) + 1, file->path);
    if (!json_is_string(dtype) || !json_is_array(shape) || !json_is_array(offsets) || json_array_size(offsets) != 2 ||
        json_array_size(shape) > CLRNN_SAFETENSORS_MAX_DIMS)
        return clrnn_error(log, CLRNN_ERR_DATA,
                           "%s: tensor %s: its entry needs dtype, shape (up to 8 dimensions) and two data_offsets",
                           file->path, name);
    if (!find_dtype(json_string_value(dtype), &t->dtype))
        return clrnn_error(log, CLRNN_ERR_DATA,
                           "%s: tensor %s has dtype %s, expected F16, BF16, F32, F64, I8 to I64, U8 to U64 or BOOL",
                           file->path, name, json_string_value(dtype));
    t->ndim = (unsigned)json_array_size(shape);
    t->count = 1;
    for (unsigned i = 0; i < t->ndim; i++) {
        const json_t *dim = json_array_get(shape, i);

        if (!json_is_integer(dim) || json_integer_value(dim) < 0)
            return clrnn_error(log, CLRNN_ERR_DATA, "%s: tensor %s: dimension %u is no size", file->path, name, i);
        t->shape[i] = (size_t)json_integer_value(dim);
        if (!clrnn_mul_size(t->count, t->shape[i], &t->count))
            return clrnn_error(log, CLRNN_ERR_DATA, "%s: tensor %s: the product of its shape overflows", file->path,
                               name);
    }
    first = json_integer_value(json_array_get(offsets, 0));
    last = json_integer_value(json_array_get(offsets, 1));
    if (first < 0 || last < first || (uint64_t)last > data_bytes)
        return clrnn_error(log, CLRNN_ERR_DATA, "%s: tensor %s lies at bytes %lld to %lld of %zu: outside the file",
                           file->path, name, (long long)first, (long long)last, data_bytes);
    if (!clrnn_mul_size(t->count, clrnn_dtype_bytes(t->dtype), &bytes) || (uint64_t)(last - first) != bytes)
        return clrnn_error(log, CLRNN_ERR_DATA, "%s: tensor %s: its shape needs %zu bytes, its offsets give %lld",
                           file->path, name, bytes, (long long)(last - first));
    t->data = data + first;
    return CLRNN_OK;
}

static int by_place(const void *a, const void *b)
{
    const struct clrnn_safetensor *const *s = a, *const *t = b;
    const char *p = (*s)->data, *q = (*t)->data;

    if (p != q)
        return p < q ? -1 : 1;
    return (*s)->count < (*t)->count ? -1 : (*s)->count > (*t)->count; // tensors without elements come first
}

// Checks that the tensors cover the area of the data without overlap or gap.
static enum clrnn_status check_tiling(const struct clrnn_log *log, const struct clrnn_safetensors *file,
                                      const unsigned char *data, size_t data_bytes)
{
    const struct clrnn_safetensor **order = calloc(MAX2(file->count, 1), sizeof(*order));
    size_t at = 0;
    enum clrnn_status st = CLRNN_OK;

    if (!order)
        return clrnn_error_memory(log, file->count * sizeof(*order), file->path);
    for (size_t i = 0; i < file->count; i++)
        order[i] = &file->tensor[i];
    qsort(order, file->count, sizeof(*order), by_place);
    for (size_t i = 0; i < file->count && st == CLRNN_OK; i++) {
        const size_t first = (size_t)((const unsigned char *)order[i]->data - data);

        if (first != at)
            st = clrnn_error(log, CLRNN_ERR_DATA, "%s: tensor %s starts at byte %zu, expected %zu: tensors %s",
                             file->path, order[i]->name, first, at, first < at ? "overlap" : "leave a hole");
        at = first + order[i]->count * clrnn_dtype_bytes(order[i]->dtype);
    }
    if (st == CLRNN_OK && at != data_bytes)
        st = clrnn_error(log, CLRNN_ERR_DATA, "%s: its tensors take %zu bytes, the file holds %zu", file->path, at,
                         data_bytes);
    free(order);
    return st;
}

static int by_name(const void *a, const void *b)
{
    const struct clrnn_safetensor *const *s = a, *const *t = b;

    return strcmp((*s)->name, (*t)->name);
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct clrnn_safetensors_text *)a)->key, ((const struct clrnn_safetensors_text *)b)->key);
}

static enum clrnn_status read_metadata(const struct clrnn_log *log, struct clrnn_safetensors *file, json_t *metadata)
{
    const size_t count = json_object_size(metadata);
    const char *key;
    json_t *value;

    file->metadata = calloc(count + 1, sizeof(*file->metadata));
    if (!file->metadata)
        return clrnn_error_memory(log, count * sizeof(*file->metadata), file->path);
    json_object_foreach(metadata, key, value)
    {
        struct clrnn_safetensors_text *text = &file->metadata[file->metadata_count];

        if (!json_is_string(value))
            return clrnn_error(log, CLRNN_ERR_DATA, "%s: metadata \"%s\" is no text", file->path, key);
        file->metadata_count++;
        text->key = clrnn_format("%s", key);
        text->value = clrnn_format("%s", json_string_value(value));
        if (!text->key || !text->value)
            return clrnn_error_memory(log, strlen(key) + json_string_length(value), file->path);
    }
    qsort(file->metadata, file->metadata_count, sizeof(*file->metadata), by_key);
    return CLRNN_OK;
}

// Checks that the header's JSON is within the limits, before the JSON is parsed.
static enum clrnn_status check_header(const struct clrnn_log *log, const struct clrnn_safetensors *file,
                                      const unsigned char *text, size_t length)
{
    size_t marks = 0;

    if (length > MAX_HEADER_BYTES)
        return clrnn_error(log, CLRNN_ERR_DATA, "%s: its header has %zu bytes, expected at most %d", file->path, length,
                           MAX_HEADER_BYTES);
    for (size_t i = 0; i < length; i++)
        marks += text[i] == '{' || text[i] == '[' || text[i] == ',' || text[i] == ':';
    return marks <= MAX_HEADER_MARKS
               ? CLRNN_OK
               : clrnn_error(log, CLRNN_ERR_DATA, "%s: its header names more than %d tensors, which is the most",
                             file->path, MAX_TENSORS);
}

// Returns a hint for the error message if torch.save seems to have written the file (a zip archive, in old versions a
// pickle), else "".
static const char *torch_hint(const struct clrnn_map *map)
{
    static const char zip[] = {'P', 'K', 3, 4};
    static const unsigned char pickle[] = {0x80, 2};

    if (map->size < sizeof(zip) || (memcmp(map->data, zip, sizeof(zip)) && memcmp(map->data, pickle, sizeof(pickle))))
        return "";
    return "; it begins like a file of torch.save: write the state dict with safetensors.torch.save_file instead";
}

static enum clrnn_status read_header(const struct clrnn_log *log, struct clrnn_safetensors *file,
                                     const struct clrnn_map *map, json_t **header)
{
    uint64_t length = 0;
    json_error_t error;
    const unsigned char *data;
    const char *name;
    json_t *entry;
    size_t data_bytes;

    if (map->size >= 8)
        memcpy(&length, map->data, 8);
    if (map->size < 8 || length > map->size - 8)
        return clrnn_error(
            log, CLRNN_ERR_DATA,
            "%s: is no safetensors file: %zu bytes, and its first eight ask for a header of %llu bytes%s", file->path,
            map->size, (unsigned long long)length, torch_hint(map));
    TRY(check_header(log, file, map->data + 8, (size_t)length));
    if (clrnn_json_parse(log, file->path, map->data + 8, (size_t)length, JSON_REJECT_DUPLICATES, &error, header) ==
        CLRNN_ERR_MEMORY)
        return CLRNN_ERR_MEMORY;
    if (!json_is_object(*header))
        return clrnn_error(log, CLRNN_ERR_DATA, "%s: its header is no JSON object%s%s", file->path, *header ? "" : ": ",
                           *header ? "" : error.text);
    data = map->data + 8 + length;
    data_bytes = map->size - 8 - (size_t)length;
    file->tensor = calloc(json_object_size(*header) + 1, sizeof(*file->tensor));
    file->by_name_ = calloc(json_object_size(*header) + 1, sizeof(*file->by_name_));
    if (!file->tensor || !file->by_name_)
        return clrnn_error_memory(log, json_object_size(*header) * sizeof(*file->tensor), file->path);
    json_object_foreach(*header, name, entry)
    {
        if (!strcmp(name, "__metadata__"))
            TRY(read_metadata(log, file, entry));
        else
            TRY(read_tensor(log, file, name, entry, data, data_bytes, &file->tensor[file->count++]));
    }
    for (size_t i = 0; i < file->count; i++)
        file->by_name_[i] = &file->tensor[i];
    qsort(file->by_name_, file->count, sizeof(*file->by_name_), by_name);
    return check_tiling(log, file, data, data_bytes);
}

enum clrnn_status clrnn_safetensors_open(const struct clrnn_log *log, const char *path, struct clrnn_safetensors **file)
{
    struct clrnn_safetensors *f = calloc(1, sizeof(*f));
    json_t *header = NULL;
    enum clrnn_status st;

    *file = NULL;
    if (!f || !(f->path = clrnn_format("%s", path))) {
        st = clrnn_error_memory(log, sizeof(*f), path);
        goto fail;
    }
    if ((st = clrnn_map_open(log, path, &f->map_)) != CLRNN_OK)
        goto fail;
    if ((st = read_header(log, f, &f->map_, &header)) != CLRNN_OK)
        goto fail;
    json_decref(header);
    *file = f;
    return CLRNN_OK;

fail:
    json_decref(header);
    clrnn_safetensors_close(&f);
    return st;
}

enum clrnn_status clrnn_safetensors_check(const struct clrnn_log *log, const struct clrnn_safetensors *file)
{
    return clrnn_map_check(log, &file->map_, file->path);
}

void clrnn_safetensors_close(struct clrnn_safetensors **file)
{
    struct clrnn_safetensors *f = *file;

    *file = NULL;
    if (!f)
        return;
    for (size_t i = 0; i < f->count; i++)
        free(f->tensor[i].name);
    for (size_t i = 0; i < f->metadata_count; i++) {
        free(f->metadata[i].key);
        free(f->metadata[i].value);
    }
    clrnn_map_close(&f->map_);
    free(f->tensor);
    free(f->by_name_);
    free(f->metadata);
    free(f->path);
    free(f);
}

const struct clrnn_safetensor *clrnn_safetensors_find(const struct clrnn_safetensors *file, const char *name)
{
    const struct clrnn_safetensor tensor = {.name = (char *)(uintptr_t)name}, *key = &tensor;
    struct clrnn_safetensor **found =
        file->count ? bsearch(&key, file->by_name_, file->count, sizeof(*found), by_name) : NULL;

    return found ? *found : NULL;
}

const char *clrnn_safetensors_metadata(const struct clrnn_safetensors *file, const char *key)
{
    const struct clrnn_safetensors_text text = {.key = (char *)(uintptr_t)key}, *found = NULL;

    if (file->metadata_count)
        found = bsearch(&text, file->metadata, file->metadata_count, sizeof(text), by_key);
    return found ? found->value : NULL;
}

// ---------------------------------------------------------------- writing

struct clrnn_safetensors_writer {
    const struct clrnn_log *log;
    json_t *header;
    size_t count, bytes; // bytes: size of the data added so far
    const void **data;
    size_t *size;
};

enum clrnn_status clrnn_safetensors_writer_create(const struct clrnn_log *log, struct clrnn_safetensors_writer **writer)
{
    struct clrnn_safetensors_writer *w = calloc(1, sizeof(*w));

    *writer = w;
    if (!w)
        return clrnn_error_memory(log, sizeof(*w), "a model file");
    w->log = log;
    w->header = json_object();
    if (!w->header) {
        clrnn_safetensors_writer_destroy(writer);
        return clrnn_error_memory(log, 0, "a model file's header");
    }
    return CLRNN_OK;
}

enum clrnn_status clrnn_safetensors_add(struct clrnn_safetensors_writer *writer, const char *name,
                                        enum clrnn_dtype dtype, unsigned ndim, const size_t *shape, const void *data)
{
    struct clrnn_safetensors_writer *w = writer;
    json_t *dims = json_array();
    size_t bytes = clrnn_dtype_bytes(dtype);

    if (!ARRAY_GROW(w->data, w->count) || !ARRAY_GROW(w->size, w->count))
        goto memory;
    for (unsigned i = 0; i < ndim; i++) {
        bytes *= shape[i]; // cannot overflow, since the data is in memory
        if (json_array_append_new(dims, json_integer((json_int_t)shape[i])))
            goto memory;
    }
    // json_pack takes ownership of `dims` ("o") even if json_pack fails
    if (json_object_set_new(w->header, name,
                            json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtype_names[dtype], "shape", dims,
                                      "data_offsets", (json_int_t)w->bytes, (json_int_t)(w->bytes + bytes))))
        return clrnn_error_memory(w->log, bytes, name);
    w->data[w->count] = data;
    w->size[w->count++] = bytes;
    w->bytes += bytes;
    return CLRNN_OK;

memory:
    json_decref(dims);
    return clrnn_error_memory(w->log, bytes, name);
}

enum clrnn_status clrnn_safetensors_add_metadata(struct clrnn_safetensors_writer *writer, const char *key,
                                                 const char *value)
{
    json_t *metadata = json_object_get(writer->header, "__metadata__");

    if (!metadata) {
        metadata = json_object();
        if (json_object_set_new(writer->header, "__metadata__", metadata))
            return clrnn_error_memory(writer->log, 0, "a model file's metadata");
    }
    if (json_object_set_new(metadata, key, json_string(value)))
        return clrnn_error_memory(writer->log, strlen(value), "a model file's metadata");
    return CLRNN_OK;
}

enum clrnn_status clrnn_safetensors_write(struct clrnn_safetensors_writer *writer, const char *path)
{
    char *header = clrnn_json_dumps(writer->header, JSON_COMPACT);
    struct clrnn_out *out = NULL;
    uint64_t length, padded;
    enum clrnn_status st;

    if (!header)
        return clrnn_error_memory(writer->log, 0, path);
    length = strlen(header);
    padded = (length + 7) / 8 * 8; // up to 7 spaces follow the header, which aligns the data to 8 bytes
    st = clrnn_out_open(writer->log, path, &out);
    if (st == CLRNN_OK) {
        clrnn_out_write(out, &padded, 8); // the first failure is returned by commit
        clrnn_out_write(out, header, (size_t)length);
        clrnn_out_write(out, "       ", (size_t)(padded - length));
        for (size_t i = 0; i < writer->count; i++)
            clrnn_out_write(out, writer->data[i], writer->size[i]);
        st = clrnn_out_commit(&out);
    }
    free(header);
    return st;
}

void clrnn_safetensors_writer_destroy(struct clrnn_safetensors_writer **writer)
{
    struct clrnn_safetensors_writer *w = *writer;

    *writer = NULL;
    if (!w)
        return;
    json_decref(w->header);
    free(w->data);
    free(w->size);
    free(w);
}
