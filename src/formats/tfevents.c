// SPDX-License-Identifier: MIT
// Writes TFRecord files of TensorFlow's Event messages.
//
// A record has four parts: the length of the message (8 bytes, little endian), the masked CRC-32C of the length (4
// bytes), the message, and the masked CRC-32C of the message (4 bytes).
#include "formats/tfevents.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/array.h"
#include "base/file.h"
#include "third_party/tensorflow/tfevents.pb-c.h"

enum { HEAD = 12, TAIL = 4, BUCKETS = 40, DT_STRING = 7, RGB = 3, PNG_HEAD = 24 };

struct clrnn_tfevents {
    const struct clrnn_log *log;
    char *path;
    int file;
};

// ---------------------------------------------------------------- records

// Returns the CRC-32C (Castagnoli), masked as in TFRecord: rotated, with a constant added.
static uint32_t masked_crc(const uint8_t *data, size_t size)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    crc = ~crc;
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static void put_le(uint8_t *to, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> 8 * i);
}

static uint64_t get_le(const uint8_t *from, int bytes)
{
    uint64_t value = 0;

    for (int i = 0; i < bytes; i++)
        value |= (uint64_t)from[i] << 8 * i;
    return value;
}

// Returns the size of the record at `data`, where `left` bytes remain; 0: the record is damaged or incomplete.
static size_t record_size(const uint8_t *data, size_t left)
{
    uint64_t size;

    if (left < HEAD + TAIL || get_le(data + 8, 4) != masked_crc(data, 8))
        return 0;
    size = get_le(data, 8);
    if (size > left - HEAD - TAIL || get_le(data + HEAD + size, 4) != masked_crc(data + HEAD, (size_t)size))
        return 0;
    return HEAD + (size_t)size + TAIL;
}

static enum clrnn_status write_record(struct clrnn_tfevents *e, const uint8_t *record, size_t size)
{
    while (size) {
        const ssize_t written = write(e->file, record, size);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return clrnn_error(e->log, CLRNN_ERR_DISK, "%s: cannot be written: %s", e->path, strerror(errno));
        record += written;
        size -= (size_t)written;
    }
    return CLRNN_OK;
}

static enum clrnn_status append(struct clrnn_tfevents *e, uint64_t step, ClrnnTf__Event *event)
{
    struct timespec now = {0};
    enum clrnn_status st;
    uint8_t *record;
    size_t size;

    clock_gettime(CLOCK_REALTIME, &now);
    event->has_wall_time = event->has_step = true;
    event->wall_time = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    event->step = (int64_t)step;
    size = clrnn_tf__event__get_packed_size(event);
    record = malloc(HEAD + size + TAIL);
    if (!record)
        return clrnn_error_memory(e->log, HEAD + size + TAIL, "an event");
    put_le(record, size, 8);
    put_le(record + 8, masked_crc(record, 8), 4);
    clrnn_tf__event__pack(event, record + HEAD);
    put_le(record + HEAD + size, masked_crc(record + HEAD, size), 4);
    st = write_record(e, record, HEAD + size + TAIL);
    free(record);
    return st;
}

// ---------------------------------------------------------------- opening

// Whether the event in a record is of step `steps` or of an earlier step. record_size has checked the record.
static bool is_kept(const uint8_t *record, size_t size, uint64_t steps)
{
    ClrnnTf__Event *event = clrnn_tf__event__unpack(NULL, size - HEAD - TAIL, record + HEAD);
    const bool kept = event && event->step >= 0 && (uint64_t)event->step <= steps;

    if (event)
        clrnn_tf__event__free_unpacked(event, NULL);
    return kept;
}

static enum clrnn_status truncate_after(const struct clrnn_tfevents *e, uint64_t steps)
{
    struct clrnn_out *out = NULL;
    struct clrnn_map map;
    enum clrnn_status st;
    size_t size;

    if (access(e->path, F_OK))
        return CLRNN_OK;
    TRY(clrnn_map_open(e->log, e->path, &map));
    st = clrnn_out_open(e->log, e->path, &out);
    for (size_t at = 0; st == CLRNN_OK && at < map.size && (size = record_size(map.data + at, map.size - at));
         at += size)
        if (is_kept(map.data + at, size, steps))
            clrnn_out_write(out, map.data + at, size); // a failure is returned by clrnn_out_commit
    if (st == CLRNN_OK)
        st = clrnn_out_commit(&out);
    clrnn_map_close(&map);
    return st;
}

static enum clrnn_status start(struct clrnn_tfevents *e, uint64_t steps, bool *fresh)
{
    ClrnnTf__Event first = CLRNN_TF__EVENT__INIT;
    char version[] = "brain.Event:2";
    struct stat st;

    TRY(truncate_after(e, steps));
    e->file = open(e->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (e->file < 0 || fstat(e->file, &st))
        return clrnn_error(e->log, CLRNN_ERR_DISK, "%s: cannot be written: %s", e->path, strerror(errno));
    *fresh = st.st_size == 0;
    first.file_version = version;
    return *fresh ? append(e, 0, &first) : CLRNN_OK;
}

enum clrnn_status clrnn_tfevents_open(const struct clrnn_log *log, const char *path, uint64_t steps,
                                      struct clrnn_tfevents **events, bool *fresh)
{
    struct clrnn_tfevents *e = calloc(1, sizeof(*e));
    enum clrnn_status st;

    *events = NULL;
    if (!e)
        return clrnn_error_memory(log, sizeof(*e), path);
    e->log = log;
    e->file = -1;
    e->path = clrnn_format("%s", path);
    st = e->path ? start(e, steps, fresh) : clrnn_error_memory(log, strlen(path) + 1, path);
    *events = e;
    if (st != CLRNN_OK)
        clrnn_tfevents_close(events);
    return st;
}

void clrnn_tfevents_close(struct clrnn_tfevents **events)
{
    struct clrnn_tfevents *e = *events;

    *events = NULL;
    if (!e)
        return;
    if (e->file >= 0)
        close(e->file);
    free(e->path);
    free(e);
}

// ---------------------------------------------------------------- events

static enum clrnn_status append_value(struct clrnn_tfevents *e, uint64_t step, const char *tag,
                                      ClrnnTf__Summary__Value *value)
{
    ClrnnTf__Event event = CLRNN_TF__EVENT__INIT;
    ClrnnTf__Summary summary = CLRNN_TF__SUMMARY__INIT;

    value->tag = (char *)(uintptr_t)tag;
    summary.n_value = 1;
    summary.value = &value;
    event.summary = &summary;
    return append(e, step, &event);
}

enum clrnn_status clrnn_tfevents_scalar(struct clrnn_tfevents *e, uint64_t step, const char *tag, double value)
{
    ClrnnTf__Summary__Value v = CLRNN_TF__SUMMARY__VALUE__INIT;

    v.has_simple_value = true;
    v.simple_value = (float)value;
    return append_value(e, step, tag, &v);
}

enum clrnn_status clrnn_tfevents_histogram(struct clrnn_tfevents *e, uint64_t step, const char *tag, size_t count,
                                           const double *values)
{
    double limit[BUCKETS], bucket[BUCKETS] = {0}, width;
    ClrnnTf__HistogramProto h = CLRNN_TF__HISTOGRAM_PROTO__INIT;
    ClrnnTf__Summary__Value v = CLRNN_TF__SUMMARY__VALUE__INIT;

    h.min = INFINITY;
    h.max = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        h.min = fmin(h.min, values[i]);
        h.max = fmax(h.max, values[i]);
        h.sum += values[i];
        h.sum_squares += values[i] * values[i];
    }
    if (!count || !isfinite(h.sum_squares))
        return CLRNN_OK;
    h.num = (double)count;
    width = (h.max - h.min) / BUCKETS;
    for (size_t i = 0; i < BUCKETS; i++)
        limit[i] = i + 1 < BUCKETS ? h.min + width * (double)(i + 1) : h.max;
    for (size_t i = 0; i < count; i++)
        bucket[width > 0 ? (size_t)fmin((values[i] - h.min) / width, BUCKETS - 1) : 0]++;
    h.has_min = h.has_max = h.has_num = h.has_sum = h.has_sum_squares = true;
    h.n_bucket_limit = h.n_bucket = width > 0 ? BUCKETS : 1;
    h.bucket_limit = width > 0 ? limit : &h.max;
    h.bucket = bucket;
    v.histo = &h;
    return append_value(e, step, tag, &v);
}

enum clrnn_status clrnn_tfevents_text(struct clrnn_tfevents *e, uint64_t step, const char *tag, const char *text)
{
    ProtobufCBinaryData bytes = {.len = strlen(text), .data = (uint8_t *)(uintptr_t)text};
    ClrnnTf__SummaryMetadata__PluginData plugin = CLRNN_TF__SUMMARY_METADATA__PLUGIN_DATA__INIT;
    ClrnnTf__SummaryMetadata metadata = CLRNN_TF__SUMMARY_METADATA__INIT;
    ClrnnTf__TensorShapeProto__Dim one = CLRNN_TF__TENSOR_SHAPE_PROTO__DIM__INIT, *dims[1] = {&one};
    ClrnnTf__TensorShapeProto shape = CLRNN_TF__TENSOR_SHAPE_PROTO__INIT;
    ClrnnTf__TensorProto tensor = CLRNN_TF__TENSOR_PROTO__INIT;
    ClrnnTf__Summary__Value v = CLRNN_TF__SUMMARY__VALUE__INIT;
    char name[] = "text";

    plugin.plugin_name = name;
    metadata.plugin_data = &plugin;
    one.has_size = true;
    one.size = 1;
    shape.n_dim = 1;
    shape.dim = dims;
    tensor.has_dtype = true;
    tensor.dtype = DT_STRING;
    tensor.tensor_shape = &shape;
    tensor.n_string_val = 1;
    tensor.string_val = &bytes;
    v.tensor = &tensor;
    v.metadata = &metadata;
    return append_value(e, step, tag, &v);
}

static uint64_t get_be(const uint8_t *from, int bytes)
{
    uint64_t value = 0;

    for (int i = 0; i < bytes; i++)
        value = value << 8 | from[i];
    return value;
}

enum clrnn_status clrnn_tfevents_picture(struct clrnn_tfevents *e, uint64_t step, const char *tag, const uint8_t *png,
                                         size_t size)
{
    static const uint8_t signature[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    ClrnnTf__Summary__Image image = CLRNN_TF__SUMMARY__IMAGE__INIT;
    ClrnnTf__Summary__Value v = CLRNN_TF__SUMMARY__VALUE__INIT;

    if (size < PNG_HEAD || memcmp(png, signature, sizeof(signature)) != 0)
        return CLRNN_OK;
    image.has_height = image.has_width = image.has_colorspace = image.has_encoded_image_string = true;
    image.width = (int32_t)get_be(png + 16, 4); // width and height in the chunk IHDR, which comes first
    image.height = (int32_t)get_be(png + 20, 4);
    image.colorspace = RGB;
    image.encoded_image_string = (ProtobufCBinaryData){.len = size, .data = (uint8_t *)(uintptr_t)png};
    v.image = &image;
    return append_value(e, step, tag, &v);
}
