// SPDX-License-Identifier: MIT
// Caches tables of large CSV files on disk.
#include "train/table_file.h"

#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/temporary.h"
#include "device/program/cache.h"
#include "model/layer.h"

#define LEAST_BYTES (8u << 20)           // smallest CSV file whose table is cached
#define HEADER_BYTES 4096u               // bytes before the values, so that these begin on a page
#define BUFFER_BYTES (1u << 20)          // bytes collected before they are written
#define HASHED_NUMBERS ((size_t)1 << 20) // numbers hashed between releases of mapped pages
#define MAGIC "clrnn table 3\n"

struct header {
    char magic[16];
    uint64_t rows, width, names_bytes;
    uint64_t values_hash[4], names_hash[2], header_hash[2]; // header_hash covers all members before it
};

struct clrnn_table_file {
    struct clrnn_temporary *temporary;
    char *path; // final path
    double *buffer;
    size_t used, // numbers in the buffer
        written; // bytes of values written to the file
};

// ---------------------------------------------------------------- hashes

// Hashes the values with four 64-bit lanes: value i goes into lane i % 4. Four independent lanes are as fast as the
// memory.
static void hash_values(const double *values, size_t count, uint64_t lane[4])
{
    for (size_t k = 0; k < 4; k++)
        lane[k] = 0x9e3779b97f4a7c15u * (k + 1);
    for (size_t i = 0; i < count; i++) {
        uint64_t word;

        memcpy(&word, values + i, sizeof(word));
        lane[i % 4] = (lane[i % 4] ^ word) * 0xff51afd7ed558ccdu;
        lane[i % 4] ^= lane[i % 4] >> 32;
        if (i % HASHED_NUMBERS == HASHED_NUMBERS - 1) // these pages are not needed again soon
            madvise((void *)((uintptr_t)(values + i + 1 - HASHED_NUMBERS) & ~(uintptr_t)4095),
                    HASHED_NUMBERS * sizeof(*values), MADV_DONTNEED);
    }
}

static void hash_bytes(const void *bytes, size_t size, uint64_t lane[2])
{
    struct clrnn_hash h;

    clrnn_hash_init(&h);
    clrnn_hash_add(&h, bytes, size);
    memcpy(lane, h.lane, sizeof(h.lane));
}

static void hash_texts(struct clrnn_hash *h, const struct clrnn_texts *texts)
{
    clrnn_hash_add(h, &texts->count, sizeof(texts->count));
    for (size_t i = 0; i < texts->count; i++)
        clrnn_hash_add_text(h, texts->text[i]);
}

// Returns "<folder>/<path>-<state>-<rules>.table", which the caller frees. <path>, <state> and <rules> are hashes: of
// the CSV file's path, of its size, time and inode, and of how it is read. Returns NULL if the table is not to be
// cached or there is no memory.
static char *find_path(const struct clrnn_table_wish *wish)
{
    const struct clrnn_source *s = wish->source;
    const char *const texts[] = {s->label,   s->columns, s->target, s->delimiter, s->comment,
                                 s->decimal, s->missing, s->time,   s->group};
    const uint32_t numbers[] = {s->window > 0,         clrnn_source_horizon(s), wish->classes,      wish->targets,
                                wish->missing_targets, wish->by_position,       wish->names != NULL};
    char *folder = clrnn_tables_folder(), *path = NULL, *real = realpath(wish->path, NULL), hex[3][33];
    struct clrnn_hash h;
    struct stat st;

    if (folder && real && !stat(real, &st) && S_ISREG(st.st_mode) && st.st_size >= (off_t)LEAST_BYTES) {
        clrnn_hash_init(&h);
        clrnn_hash_add_text(&h, real);
        clrnn_hash_hex(&h, hex[0]);
        clrnn_hash_init(&h);
        clrnn_hash_add(&h, &st.st_size, sizeof(st.st_size));
        clrnn_hash_add(&h, &st.st_mtim, sizeof(st.st_mtim));
        clrnn_hash_add(&h, &st.st_ino, sizeof(st.st_ino));
        clrnn_hash_hex(&h, hex[1]);
        clrnn_hash_init(&h);
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
            clrnn_hash_add_text(&h, texts[i]);
        clrnn_hash_add(&h, numbers, sizeof(numbers));
        if (wish->names) {
            hash_texts(&h, &wish->names->columns);
            hash_texts(&h, &wish->names->targets);
            hash_texts(&h, &wish->names->classes);
        }
        clrnn_hash_hex(&h, hex[2]);
        path = clrnn_format("%s/%.16s-%.16s-%.32s.table", folder, hex[0], hex[1], hex[2]);
    }
    free(folder);
    free(real);
    return path;
}

// ---------------------------------------------------------------- names

static json_t *write_places(const size_t *place, size_t count)
{
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_integer((json_int_t)place[i]));
    return list;
}

static char *write_names(const struct clrnn_table *t)
{
    json_t *missing = json_array(), *all;
    char *text;

    clrnn_json_out_of_memory();
    for (size_t i = 0; i < t->width; i++)
        json_array_append_new(missing, json_integer((json_int_t)t->missing[i]));
    all = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I}", "columns", clrnn_texts_json(&t->column), "classes",
                    clrnn_texts_json(&t->classes), "groups", clrnn_texts_json(&t->groups), "feature",
                    write_places(t->feature, t->features), "target", write_places(t->target, t->targets), "missing",
                    missing, "time", (json_int_t)(t->time == SIZE_MAX ? -1 : (long long)t->time), "group",
                    (json_int_t)(t->group == SIZE_MAX ? -1 : (long long)t->group));
    text = clrnn_json_dumps(all, JSON_COMPACT);
    json_decref(all);
    return text;
}

static bool read_places(const json_t *list, size_t width, size_t **place, size_t *count)
{
    *count = json_array_size(list);
    *place = malloc(MAX2(*count, 1u) * sizeof(**place));
    for (size_t i = 0; *place && i < *count; i++) {
        (*place)[i] = (size_t)json_integer_value(json_array_get(list, i));
        if ((*place)[i] >= width)
            return false;
    }
    return *place;
}

static bool read_names(const char *text, size_t size, struct clrnn_table *t)
{
    json_t *all = NULL;
    long long time, group;
    bool good = clrnn_json_parse(NULL, "", text, size, 0, NULL, &all) == CLRNN_OK &&
                clrnn_texts_read(json_object_get(all, "columns"), &t->column) &&
                clrnn_texts_read(json_object_get(all, "classes"), &t->classes) &&
                clrnn_texts_read(json_object_get(all, "groups"), &t->groups) &&
                read_places(json_object_get(all, "feature"), t->width, &t->feature, &t->features) &&
                read_places(json_object_get(all, "target"), t->width, &t->target, &t->targets);
    const json_t *missing = json_object_get(all, "missing");

    t->missing = calloc(MAX2(t->width, 1u), sizeof(*t->missing));
    good = good && t->missing && t->column.count == t->width && json_array_size(missing) == t->width;
    for (size_t i = 0; i < t->width && good; i++)
        t->missing[i] = (uint64_t)json_integer_value(json_array_get(missing, i));
    time = json_integer_value(json_object_get(all, "time"));
    group = json_integer_value(json_object_get(all, "group"));
    t->time = time < 0 ? SIZE_MAX : (size_t)time;
    t->group = group < 0 ? SIZE_MAX : (size_t)group;
    json_decref(all);
    return good && time < (long long)t->width && group < (long long)t->width;
}

// ---------------------------------------------------------------- finding a cached table

static bool read_header(const unsigned char *data, size_t size, struct header *h)
{
    uint64_t lane[2];
    size_t bytes;

    if (size < HEADER_BYTES)
        return false;
    memcpy(h, data, sizeof(*h));
    hash_bytes(h, offsetof(struct header, header_hash), lane);
    return !memcmp(h->magic, MAGIC, sizeof(MAGIC)) && !memcmp(lane, h->header_hash, sizeof(lane)) && h->rows &&
           h->width && clrnn_mul_size(h->rows, h->width, &bytes) && clrnn_mul_size(bytes, sizeof(double), &bytes) &&
           bytes <= size - HEADER_BYTES && size - HEADER_BYTES - bytes == h->names_bytes;
}

static bool load(const unsigned char *data, size_t size, struct clrnn_table *t)
{
    uint64_t values[4], names[2];
    struct header h;
    const char *text;

    if (!read_header(data, size, &h))
        return false;
    t->rows = h.rows;
    t->width = h.width;
    text = (const char *)(data + HEADER_BYTES + h.rows * h.width * sizeof(double));
    hash_bytes(text, h.names_bytes, names);
    if (memcmp(names, h.names_hash, sizeof(names)) != 0 || !read_names(text, h.names_bytes, t))
        return false;
    clrnn_table_set_mapped(t, (void *)(uintptr_t)data, size, HEADER_BYTES);
    hash_values(t->values, h.rows * h.width, values);
    return !memcmp(values, h.values_hash, sizeof(values));
}

enum clrnn_status clrnn_table_find(const struct clrnn_log *log, const struct clrnn_table_wish *wish,
                                   struct clrnn_table **table)
{
    struct clrnn_table *t = calloc(1, sizeof(*t));
    struct clrnn_map map = {0};
    char *path = NULL, *folder = NULL;

    *table = NULL;
    if (!t)
        return clrnn_error_memory(log, sizeof(*t), wish->path);
    t->references = 1;
    path = find_path(wish);
    folder = path ? clrnn_path_folder(path) : NULL;
    if (folder && access(path, R_OK) == 0 && clrnn_cache_is_ours(folder) &&
        clrnn_map_open(NULL, path, &map) == CLRNN_OK) {
        t->mapped = true;
        t->map = map;
        if (load(map.data, map.size, t)) {
            *table = t;
            utimensat(AT_FDCWD, path, NULL, 0); // marks the table as just used
        } else {
            unlink(path);
        }
    }
    if (!*table)
        clrnn_table_close(&t);
    free(path);
    free(folder);
    return CLRNN_OK;
}

// ---------------------------------------------------------------- writing a table

static bool write_all(int file, const void *data, size_t size, size_t at)
{
    for (size_t done = 0; done < size;) {
        const ssize_t some = pwrite(file, (const char *)data + done, size - done, (off_t)(at + done));

        if (some <= 0)
            return false;
        done += (size_t)some;
    }
    return true;
}

static bool flush(struct clrnn_table_file *f)
{
    const size_t bytes = f->used * sizeof(*f->buffer);

    if (!write_all(f->temporary->fd, f->buffer, bytes, HEADER_BYTES + f->written))
        return false;
    f->written += bytes;
    f->used = 0;
    return true;
}

struct clrnn_table_file *clrnn_table_file_begin(const struct clrnn_table_wish *wish)
{
    struct clrnn_table_file *f = calloc(1, sizeof(*f));
    char *folder = NULL;

    if (f)
        f->path = find_path(wish);
    if (f && f->path)
        folder = clrnn_path_folder(f->path);
    if (folder && clrnn_make_folder(NULL, folder) == CLRNN_OK && clrnn_cache_is_ours(folder))
        clrnn_temporary_create(folder, false, &f->temporary);
    if (f)
        f->buffer = malloc(BUFFER_BYTES);
    free(folder);
    if (f && (!f->temporary || !f->buffer))
        clrnn_table_file_abort(&f);
    return f;
}

bool clrnn_table_file_append(struct clrnn_table_file *f, const double *row, size_t width)
{
    for (size_t i = 0; i < width; i++) {
        if (f->used == BUFFER_BYTES / sizeof(*row) && !flush(f))
            return false;
        f->buffer[f->used++] = row[i];
    }
    return true;
}

bool clrnn_table_file_map(struct clrnn_table_file *f, struct clrnn_table *table)
{
    void *data;

    if (!flush(f))
        return false;
    data = mmap(NULL, HEADER_BYTES + f->written, PROT_READ | PROT_WRITE, MAP_SHARED, f->temporary->fd, 0);
    if (data == MAP_FAILED)
        return false;
    clrnn_table_set_mapped(table, data, HEADER_BYTES + f->written, HEADER_BYTES);
    return true;
}

bool clrnn_table_file_commit(struct clrnn_table_file **file, struct clrnn_table *t)
{
    struct clrnn_table_file *f = *file;
    struct header h = {.magic = MAGIC, .rows = t->rows, .width = t->width};
    char *names = write_names(t);
    bool good = names;

    hash_values(t->values, t->rows * t->width, h.values_hash);
    clrnn_table_unmap(t);
    if (good) {
        h.names_bytes = strlen(names);
        hash_bytes(names, h.names_bytes, h.names_hash);
        hash_bytes(&h, offsetof(struct header, header_hash), h.header_hash);
        good = write_all(f->temporary->fd, names, h.names_bytes, HEADER_BYTES + f->written) &&
               write_all(f->temporary->fd, &h, sizeof(h), 0);
    }
    good = good && !clrnn_temporary_rename(&f->temporary, f->path);
    if (good)
        clrnn_tables_prune(f->path);
    good = good && clrnn_map_open(NULL, f->path, &t->map) == CLRNN_OK;
    if (good && t->map.size == HEADER_BYTES + f->written + h.names_bytes) {
        t->mapped = true;
        clrnn_table_set_mapped(t, (void *)(uintptr_t)t->map.data, t->map.size, HEADER_BYTES);
    }
    free(names);
    clrnn_table_file_abort(file);
    return t->mapped;
}

void clrnn_table_file_abort(struct clrnn_table_file **file)
{
    struct clrnn_table_file *f = *file;

    *file = NULL;
    if (!f)
        return;
    clrnn_temporary_remove(&f->temporary);
    free(f->buffer);
    free(f->path);
    free(f);
}
