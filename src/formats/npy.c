// SPDX-License-Identifier: MIT
// Reading and writing .npy files (format: numpy.lib.format, versions 1.0 to 3.0).
#include "formats/npy.h"

#include <ctype.h>
#include <string.h>

#include "base/array.h"
#include "formats/kind.h"

static const char magic[] = "\x93NUMPY";
enum { MAGIC_BYTES = 6, MAX_HEADER_BYTES = 65535 }; // the limit is documented in doc/config.md

// ---------------------------------------------------------------- the header: a Python dict literal

struct header {
    const char *text, *end; // the unread part
    char descr[32];
    bool has_descr, has_order, has_shape, fortran;
    unsigned ndim;
    size_t shape[CLRNN_NPY_MAX_DIMS];
    const char *trouble; // what is wrong with the header
};

static void skip_blanks(struct header *h)
{
    while (h->text < h->end && isspace((unsigned char)*h->text))
        h->text++;
}

static bool take(struct header *h, char c)
{
    skip_blanks(h);
    if (h->text == h->end || *h->text != c)
        return false;
    h->text++;
    return true;
}

// Reads a quoted string into `word`. Returns false if there is no string or it is too long.
static bool take_string(struct header *h, char *word, size_t size)
{
    char quote;
    size_t length = 0;

    skip_blanks(h);
    if (h->text == h->end || (*h->text != '\'' && *h->text != '"'))
        return false;
    quote = *h->text++;
    while (h->text < h->end && *h->text != quote) {
        if (length + 1 >= size)
            return false;
        word[length++] = *h->text++;
    }
    word[length] = 0;
    return take(h, quote);
}

static bool take_word(struct header *h, const char *word)
{
    const size_t length = strlen(word);

    skip_blanks(h);
    if ((size_t)(h->end - h->text) < length || memcmp(h->text, word, length))
        return false;
    h->text += length;
    return true;
}

static bool take_shape(struct header *h)
{
    if (!take(h, '('))
        return h->trouble = "its shape is no tuple", false;
    while (!take(h, ')')) {
        size_t dim = 0;
        bool digits = false;

        if (h->ndim == CLRNN_NPY_MAX_DIMS)
            return h->trouble = "it has more than 8 dimensions", false;
        for (skip_blanks(h); h->text < h->end && isdigit((unsigned char)*h->text); h->text++, digits = true)
            if (!clrnn_mul_size(dim, 10, &dim) || __builtin_add_overflow(dim, (size_t)(*h->text - '0'), &dim))
                return h->trouble = "a dimension of its shape is too large", false;
        if (!digits)
            return h->trouble = "its shape holds something that is no number", false;
        h->shape[h->ndim++] = dim;
        if (take(h, 'L') || take(h, ',')) // Python 2 wrote 3 as 3L
            take(h, ',');
    }
    return true;
}

static bool take_header(struct header *h)
{
    char key[32];

    if (!take(h, '{'))
        return h->trouble = "its header is no dictionary", false;
    while (!take(h, '}')) {
        if (!take_string(h, key, sizeof(key)) || !take(h, ':'))
            return h->trouble = "its header is no dictionary", false;
        if (!strcmp(key, "descr")) {
            if (!take_string(h, h->descr, sizeof(h->descr)))
                return h->trouble = "it holds a structured array, expected one array of numbers: "
                                    "numpy.lib.recfunctions.structured_to_unstructured",
                       false;
            h->has_descr = true;
        } else if (!strcmp(key, "fortran_order")) {
            h->fortran = take_word(h, "True");
            if (!h->fortran && !take_word(h, "False"))
                return h->trouble = "its fortran_order is neither True nor False", false;
            h->has_order = true;
        } else if (!strcmp(key, "shape") && !h->has_shape) {
            if (!take_shape(h))
                return false;
            h->has_shape = true;
        } else {
            return h->trouble = "its header has an unknown or repeated key", false;
        }
        take(h, ',');
    }
    if (!h->has_descr || !h->has_order || !h->has_shape)
        h->trouble = "its header lacks one of descr, fortran_order, shape";
    return !h->trouble;
}

// Finds the dtype of a descriptor such as "<f4". Returns false if the descriptor is not supported.
static bool find_dtype(const char *descr, enum clrnn_dtype *dtype)
{
    static const char *const descriptors[] = {
#define X(name, size, npy, safetensors, word) npy,
        CLRNN_DTYPE_LIST(X)
#undef X
    };

    for (size_t i = 0; i < ARRAY_SIZE(descriptors); i++) {
        const char *known = descriptors[i];
        // '=' is native byte order, which is little endian; types of one byte ('|') accept any byte order
        const bool order = *known && (*descr == *known || *descr == '=' || *known == '|');

        if (order && !strcmp(descr + 1, known + 1)) {
            *dtype = (enum clrnn_dtype)i;
            return true;
        }
    }
    return false;
}

static enum clrnn_status bad_dtype(const struct clrnn_log *log, const char *path, const char *descr)
{
    const bool text = strpbrk(descr, "US") != NULL, object = strchr(descr, 'O') != NULL;

    return clrnn_error(log, CLRNN_ERR_DATA,
                       "%s: holds %s \"%s\", expected float16/32/64, int8 to int64, uint8 to uint64 or "
                       "bool, little endian: %s",
                       path,
                       text              ? "text"
                       : object          ? "Python objects"
                       : descr[0] == '>' ? "big-endian data"
                                         : "data of type",
                       descr,
                       text     ? "for labels, numpy.unique(y, return_inverse=True)[1] numbers the classes from 0"
                       : object ? "labels become classes by numpy.unique(y, return_inverse=True)[1]; "
                                  "rows of unequal length must be padded to one array, their lengths saved beside it "
                                  "(data.train.lengths)"
                                : "convert it with numpy's astype");
}

// Parses the header of the mapped file into `npy`. Sets *start to the byte offset of the data.
static enum clrnn_status parse(const struct clrnn_log *log, struct clrnn_npy *npy, const struct clrnn_map *map,
                               size_t *start)
{
    const unsigned char *bytes = map->data;
    struct header h = {0};
    size_t length, size_bytes, expected;

    if (map->size < 10 || memcmp(bytes, magic, MAGIC_BYTES)) {
        const char *kind = clrnn_file_kind(bytes, map->size);

        return clrnn_error(log, CLRNN_ERR_DATA, "%s: is no .npy file%s%s", npy->path,
                           *kind ? ": " : " (its first bytes are not \\x93NUMPY)", kind);
    }
    if (bytes[6] < 1 || bytes[6] > 3)
        return clrnn_error(log, CLRNN_ERR_DATA, "%s: .npy version %d.%d, expected 1, 2 or 3", npy->path, bytes[6],
                           bytes[7]);
    size_bytes = bytes[6] == 1 ? 2 : 4;
    length = bytes[8] | (size_t)bytes[9] << 8;
    if (size_bytes == 4 && map->size >= 12)
        length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    if (length > MAX_HEADER_BYTES)
        return clrnn_error(log, CLRNN_ERR_DATA, "%s: its header has %zu bytes, expected at most %d", npy->path, length,
                           MAX_HEADER_BYTES);
    *start = 8 + size_bytes + length;
    if (*start > map->size)
        return clrnn_error(log, CLRNN_ERR_DATA, "%s: truncated: its header should end at byte %zu, the file has %zu",
                           npy->path, *start, map->size);
    h.text = (const char *)bytes + 8 + size_bytes;
    h.end = h.text + length;
    if (!take_header(&h))
        return clrnn_error(log, CLRNN_ERR_DATA, "%s: %s", npy->path, h.trouble);
    if (!find_dtype(h.descr, &npy->dtype))
        return bad_dtype(log, npy->path, h.descr);
    npy->ndim = h.ndim;
    memcpy(npy->shape, h.shape, sizeof(npy->shape));
    npy->fortran_order = h.fortran && h.ndim > 1;
    npy->count = 1;
    expected = clrnn_dtype_bytes(npy->dtype);
    for (unsigned i = 0; i < h.ndim; i++)
        if (!clrnn_mul_size(npy->count, h.shape[i], &npy->count) || !clrnn_mul_size(expected, h.shape[i], &expected))
            return clrnn_error(log, CLRNN_ERR_DATA, "%s: the product of its shape overflows", npy->path);
    if (map->size - *start != expected) {
        char text[160];

        return clrnn_error(log, CLRNN_ERR_DATA, "%s: %s: %s needs %zu bytes of data, the file has %zu", npy->path,
                           map->size - *start < expected ? "truncated" : "too long",
                           clrnn_npy_describe(npy, text, sizeof(text)), expected, map->size - *start);
    }
    return CLRNN_OK;
}

enum clrnn_status clrnn_npy_open(const struct clrnn_log *log, const char *path, struct clrnn_npy **npy)
{
    return clrnn_npy_open_as(log, path, path, npy);
}

enum clrnn_status clrnn_npy_open_as(const struct clrnn_log *log, const char *path, const char *name,
                                    struct clrnn_npy **npy)
{
    struct clrnn_npy *n = calloc(1, sizeof(*n));
    enum clrnn_status st;
    size_t start;

    *npy = NULL;
    if (!n || !(n->path = clrnn_format("%s", name))) {
        st = clrnn_error_memory(log, sizeof(*n), path);
        goto fail;
    }
    if ((st = clrnn_map_open(log, path, &n->map_)) != CLRNN_OK)
        goto fail;
    if ((st = parse(log, n, &n->map_, &start)) != CLRNN_OK)
        goto fail;
    n->data = n->map_.data + start;
    *npy = n;
    return CLRNN_OK;

fail:
    clrnn_npy_close(&n);
    return st;
}

enum clrnn_status clrnn_npy_over(const struct clrnn_log *log, const char *name, const char *dtype, unsigned ndim,
                                 const size_t *shape, const void *data, struct clrnn_npy **npy)
{
    struct clrnn_npy *n = calloc(1, sizeof(*n));
    enum clrnn_status st = CLRNN_OK;

    *npy = NULL;
    if (!n || !(n->path = clrnn_format("%s", name))) {
        clrnn_npy_close(&n);
        return clrnn_error_memory(log, sizeof(*n), name);
    }
    n->data = data;
    n->ndim = ndim;
    n->count = 1;
    if (!find_dtype(dtype, &n->dtype))
        st = bad_dtype(log, name, dtype);
    else if (ndim > CLRNN_NPY_MAX_DIMS)
        st = clrnn_error(log, CLRNN_ERR_DATA, "%s: it has more than 8 dimensions", name);
    for (unsigned i = 0; i < ndim && st == CLRNN_OK; i++) {
        n->shape[i] = shape[i];
        if (!clrnn_mul_size(n->count, shape[i], &n->count))
            st = clrnn_error(log, CLRNN_ERR_DATA, "%s: the product of its shape overflows", name);
    }
    if (st != CLRNN_OK)
        clrnn_npy_close(&n);
    *npy = n;
    return st;
}

void clrnn_npy_close(struct clrnn_npy **npy)
{
    struct clrnn_npy *n = *npy;

    *npy = NULL;
    if (!n)
        return;
    clrnn_map_close(&n->map_);
    free(n->path);
    free(n);
}

// ---------------------------------------------------------------- elements

// Returns the position in a Fortran-order file of the element whose index in C order is `index`.
static size_t fortran_position(const struct clrnn_npy *npy, size_t index)
{
    size_t position = 0, stride = npy->count;

    for (unsigned d = npy->ndim; d-- > 0;) { // the last dimension runs fastest in C order
        stride /= npy->shape[d];
        position += index % npy->shape[d] * stride;
        index /= npy->shape[d];
    }
    return position;
}

#define READ(function, suffix, type) \
    void function(const struct clrnn_npy *npy, size_t first, size_t count, type *out) \
    { \
        const size_t bytes = clrnn_dtype_bytes(npy->dtype); \
\
        if (!npy->fortran_order) { \
            clrnn_dtype_to_##suffix(npy->dtype, npy->data + first * bytes, count, out); \
            return; \
        } \
        for (size_t i = 0; i < count; i++) \
            clrnn_dtype_to_##suffix(npy->dtype, npy->data + fortran_position(npy, first + i) * bytes, 1, out + i); \
    }
static READ(convert_f32, f32, float) READ(clrnn_npy_read_f64, f64, double) READ(clrnn_npy_read_i64, i64, int64_t)

    // Large reads of float32 read the file instead of its mapping (see clrnn_map_read).
    void clrnn_npy_read_f32(const struct clrnn_npy *npy, size_t first, size_t count, float *out)
{
    const struct clrnn_map *map = &npy->map_;

    if (map->data && npy->dtype == CLRNN_DTYPE_F32 && !npy->fortran_order && count >= 512)
        clrnn_map_read(map, (size_t)(npy->data - map->data) + first * sizeof(*out), count * sizeof(*out), out);
    else
        convert_f32(npy, first, count, out);
}

enum clrnn_status clrnn_npy_check(const struct clrnn_log *log, const struct clrnn_npy *npy)
{
    return npy->map_.data ? clrnn_map_check(log, &npy->map_, npy->path) : CLRNN_OK;
}

const float *clrnn_npy_f32(const struct clrnn_npy *npy)
{
    if (npy->dtype != CLRNN_DTYPE_F32 || npy->fortran_order || (uintptr_t)npy->data % sizeof(float))
        return NULL;
    return (const float *)(const void *)npy->data;
}

const char *clrnn_npy_describe(const struct clrnn_npy *npy, char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "%s (", clrnn_dtype_word(npy->dtype));

    for (unsigned i = 0; i < npy->ndim && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, i ? ", %zu" : "%zu", npy->shape[i]);
    if (used < size)
        snprintf(text + used, size - used, npy->ndim == 1 ? ",)" : ")");
    return text;
}

// ---------------------------------------------------------------- writing

struct clrnn_npy_writer {
    const struct clrnn_log *log;
    char *path;
    struct clrnn_out *out;
    size_t element_bytes, left; // elements not yet written
};

enum clrnn_status clrnn_npy_create(const struct clrnn_log *log, const char *path, enum clrnn_dtype dtype, unsigned ndim,
                                   const size_t *shape, struct clrnn_npy_writer **writer)
{
    static const char *const descriptors[] = {
#define X(name, size, npy, safetensors, word) npy,
        CLRNN_DTYPE_LIST(X)
#undef X
    };
    struct clrnn_npy_writer *w = calloc(1, sizeof(*w));
    char header[512];
    int length;
    size_t total;
    enum clrnn_status st;

    *writer = NULL;
    if (!w || !(w->path = clrnn_format("%s", path))) {
        st = clrnn_error_memory(log, sizeof(*w), path);
        goto fail;
    }
    w->log = log;
    w->element_bytes = clrnn_dtype_bytes(dtype);
    w->left = 1;
    length = snprintf(header, sizeof(header), "{'descr': '%s', 'fortran_order': False, 'shape': (", descriptors[dtype]);
    for (unsigned i = 0; i < ndim; i++) {
        length += snprintf(header + length, sizeof(header) - (size_t)length,
                           ndim == 1 ? "%zu,"
                           : i       ? ", %zu"
                                     : "%zu",
                           shape[i]);
        if (!clrnn_mul_size(w->left, shape[i], &w->left)) {
            st = clrnn_error(log, CLRNN_ERR_ARG, "%s: the product of its shape overflows", path);
            goto fail;
        }
    }
    length += snprintf(header + length, sizeof(header) - (size_t)length, "), }");
    total = ((size_t)length + 1 + 10 + 63) / 64 * 64 - 10; // the data starts at a multiple of 64 bytes
    memset(header + length, ' ', total - (size_t)length);
    header[total - 1] = '\n';

    if ((st = clrnn_out_open(log, path, &w->out)) != CLRNN_OK)
        goto fail;
    {
        const unsigned char start[10] = {
            0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)total, (unsigned char)(total >> 8)};

        clrnn_out_write(w->out, start, sizeof(start)); // a failure is returned by commit
        clrnn_out_write(w->out, header, total);
    }
    *writer = w;
    return CLRNN_OK;

fail:
    clrnn_npy_abort(&w);
    return st;
}

enum clrnn_status clrnn_npy_append(struct clrnn_npy_writer *writer, const void *elements, size_t count)
{
    if (count > writer->left)
        return clrnn_error(writer->log, CLRNN_ERR_ARG, "%s: %zu elements more than its shape holds", writer->path,
                           count - writer->left);
    writer->left -= count;
    return clrnn_out_write(writer->out, elements, count * writer->element_bytes);
}

enum clrnn_status clrnn_npy_commit(struct clrnn_npy_writer **writer)
{
    struct clrnn_npy_writer *w = *writer;
    enum clrnn_status st;

    *writer = NULL;
    st = w->left ? clrnn_error(w->log, CLRNN_ERR_DISK, "%s: %zu elements are missing at its end", w->path, w->left)
                 : clrnn_out_commit(&w->out);
    clrnn_npy_abort(&w);
    return st;
}

void clrnn_npy_abort(struct clrnn_npy_writer **writer)
{
    struct clrnn_npy_writer *w = *writer;

    *writer = NULL;
    if (!w)
        return;
    clrnn_out_abort(&w->out);
    free(w->path);
    free(w);
}
