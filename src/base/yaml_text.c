// SPDX-License-Identifier: MIT
// Writing a YAML tree as text with libyaml.
#include "base/yaml.h"

#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "base/file.h"

#define WIDTH 100 // most characters of a list or map that is written on one line

// Returns the number of characters that the node takes on one line. If the node contains a map that is not empty,
// returns more than WIDTH, so the node is not written on one line.
static size_t width(const struct clrnn_node *node)
{
    size_t sum = 2;

    for (size_t i = 0; i < node->count; i++) {
        const struct clrnn_node *child = node->child[i];

        if (child->kind == CLRNN_NODE_MAP && child->count)
            return WIDTH + 1;
        sum += (child->key ? strlen(child->key) + 2 : 0) + 2;
        sum += child->kind == CLRNN_NODE_SCALAR ? strlen(child->text) : width(child);
    }
    return sum;
}

static bool emit_scalar(yaml_emitter_t *emitter, const char *text, bool quoted)
{
    yaml_event_t event;

    return yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text, (int)strlen(text), 1, 1,
                                        quoted ? YAML_DOUBLE_QUOTED_SCALAR_STYLE : YAML_PLAIN_SCALAR_STYLE) &&
           yaml_emitter_emit(emitter, &event);
}

// Writes a node and its children. The root and its children are written in block style, unless they are empty.
static bool emit(yaml_emitter_t *emitter, const struct clrnn_node *node, int depth)
{
    const bool map = node->kind == CLRNN_NODE_MAP;
    const bool flow = node->count == 0 || (depth > 1 && width(node) <= WIDTH);
    yaml_event_t event;

    if (node->kind == CLRNN_NODE_SCALAR)
        return emit_scalar(emitter, node->text, node->quoted);
    if (!(map ? yaml_mapping_start_event_initialize(&event, NULL, NULL, 1,
                                                    flow ? YAML_FLOW_MAPPING_STYLE : YAML_BLOCK_MAPPING_STYLE)
              : yaml_sequence_start_event_initialize(&event, NULL, NULL, 1,
                                                     flow ? YAML_FLOW_SEQUENCE_STYLE : YAML_BLOCK_SEQUENCE_STYLE)) ||
        !yaml_emitter_emit(emitter, &event))
        return false;
    for (size_t i = 0; i < node->count; i++) {
        if (map && !emit_scalar(emitter, node->child[i]->key, false))
            return false;
        if (!emit(emitter, node->child[i], depth + 1))
            return false;
    }
    return (map ? yaml_mapping_end_event_initialize(&event) : yaml_sequence_end_event_initialize(&event)) &&
           yaml_emitter_emit(emitter, &event);
}

char *clrnn_yaml_text(const struct clrnn_node *root)
{
    char *text = NULL;
    size_t size;
    FILE *stream = clrnn_text_open(&text, &size);
    yaml_emitter_t emitter;
    yaml_event_t event;
    bool good;

    if (!stream)
        return NULL;
    if (!yaml_emitter_initialize(&emitter)) {
        fclose(stream);
        free(text);
        return NULL;
    }
    yaml_emitter_set_output_file(&emitter, stream);
    yaml_emitter_set_unicode(&emitter, 1);
    yaml_emitter_set_width(&emitter, -1); // no line breaks within paths
    good = yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING) && yaml_emitter_emit(&emitter, &event) &&
           yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1) && yaml_emitter_emit(&emitter, &event) &&
           emit(&emitter, root, 0) && yaml_document_end_event_initialize(&event, 1) &&
           yaml_emitter_emit(&emitter, &event) && yaml_stream_end_event_initialize(&event) &&
           yaml_emitter_emit(&emitter, &event) && yaml_emitter_flush(&emitter);
    yaml_emitter_delete(&emitter);
    if (clrnn_text_close(stream, &text) && good)
        return text;
    free(text);
    return NULL;
}
