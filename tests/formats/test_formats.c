// SPDX-License-Identifier: MIT
// File formats: written files must read back; truncated, inconsistent or malicious files must be refused with the
// reason.
#include <math.h>
#include <unistd.h>

#include "base/array.h"
#include "formats/npy.h"
#include "formats/safetensors.h"
#include "tests/formats/files.h"

// Writes an .npy file of format version `major` with this header text and `bytes` bytes of data: 0, 1, 2, ...
static char *write_npy(int major, const char *header, size_t bytes)
{
    unsigned char file[4096] = {0x93, 'N', 'U', 'M', 'P', 'Y', (unsigned char)major, 0};
    const size_t length = strlen(header);
    size_t at = 8;

    file[at++] = (unsigned char)length;
    file[at++] = (unsigned char)(length >> 8);
    if (major > 1)
        at += 2;
    memcpy(file + at, header, length);
    at += length;
    for (size_t i = 0; i < bytes; i++)
        file[at++] = (unsigned char)i;
    return write_file("x.npy", file, at);
}

static void npy_versions_and_dtypes(void **state)
{
    static const struct {
        const char *descr;
        size_t bytes;
        int64_t second; // the second element, read from the bytes 0, 1, 2, ...
    } cases[] = {{"|u1", 1, 1},
                 {"|i1", 1, 1},
                 {"<u2", 2, 0x0302},
                 {"<i2", 2, 0x0302},
                 {"<i4", 4, 0x07060504},
                 {"<u4", 4, 0x07060504},
                 {"|b1", 1, 1},
                 {"<i8", 8, 0x0f0e0d0c0b0a0908},
                 {"<u8", 8, 0x0f0e0d0c0b0a0908}};

    (void)state;
    for (int major = 1; major <= 3; major++)
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
            char header[128];
            struct clrnn_npy *npy;
            int64_t values[6];
            char *path;

            snprintf(header, sizeof(header), "{'descr': '%s', 'fortran_order': False, 'shape': (2, 3), }",
                     cases[i].descr);
            path = write_npy(major, header, 6 * cases[i].bytes);
            assert_int_equal(clrnn_npy_open(&kept.log, path, &npy), CLRNN_OK);
            assert_int_equal(npy->ndim, 2);
            assert_int_equal(npy->count, 6);
            clrnn_npy_read_i64(npy, 0, 6, values);
            assert_int_equal(values[1], cases[i].second);
            clrnn_npy_close(&npy);
            free(path);
        }
}

static void npy_fortran_order(void **state)
{
    char *path = write_npy(1, "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3, 2), }", 12);
    struct clrnn_npy *npy;
    float values[12];

    (void)state;
    assert_int_equal(clrnn_npy_open(&kept.log, path, &npy), CLRNN_OK);
    clrnn_npy_read_f32(npy, 0, 12, values);
    for (size_t i = 0; i < 2; i++)
        for (size_t j = 0; j < 3; j++)
            for (size_t k = 0; k < 2; k++)
                assert_int_equal((int)values[(i * 3 + j) * 2 + k], i + 2 * j + 6 * k);
    assert_null(clrnn_npy_f32(npy));
    clrnn_npy_close(&npy);
    free(path);
}

static void npy_half_precision(void **state)
{
    static const uint16_t halves[] = {0x0000, 0x3c00, 0xc000, 0x7bff, 0x0001, 0x7c00, 0x8000, 0x3555};
    static const double wanted[] = {0, 1, -2, 65504, 0x1p-24, INFINITY, -0.0, 0.333251953125};
    double values[8];

    (void)state;
    clrnn_dtype_to_f64(CLRNN_DTYPE_F16, halves, 8, values);
    for (int i = 0; i < 8; i++)
        assert_true(values[i] == wanted[i] && signbit(values[i]) == signbit(wanted[i]));
}

static void npy_write_reads_back(void **state)
{
    const size_t shape[] = {3, 1, 2};
    const float values[] = {1, -2, 3.5f, 0, NAN, 1e30f};
    struct clrnn_npy_writer *writer;
    struct clrnn_npy *npy;
    char *path = test_folder_path("w.npy");

    (void)state;
    assert_int_equal(clrnn_npy_create(&kept.log, path, CLRNN_DTYPE_F32, 3, shape, &writer), CLRNN_OK);
    assert_int_equal(clrnn_npy_append(writer, values, 4), CLRNN_OK);
    assert_int_equal(access(path, F_OK), -1); // there must be no file before all values are written
    assert_int_equal(clrnn_npy_append(writer, values + 4, 2), CLRNN_OK);
    assert_int_equal(clrnn_npy_append(writer, values, 1), CLRNN_ERR_ARG);
    assert_int_equal(clrnn_npy_commit(&writer), CLRNN_OK);
    assert_int_equal(clrnn_npy_open(&kept.log, path, &npy), CLRNN_OK);
    assert_int_equal(npy->ndim, 3);
    assert_int_equal(npy->shape[2], 2);
    assert_non_null(clrnn_npy_f32(npy));
    assert_memory_equal(clrnn_npy_f32(npy), values, sizeof(values));
    clrnn_npy_close(&npy);

    assert_int_equal(clrnn_npy_create(&kept.log, path, CLRNN_DTYPE_F32, 3, shape, &writer), CLRNN_OK);
    // the new file lacks all six values, so the old file must stay
    assert_int_equal(clrnn_npy_commit(&writer), CLRNN_ERR_DISK);
    assert_int_equal(clrnn_npy_open(&kept.log, path, &npy), CLRNN_OK);
    clrnn_npy_close(&npy);
    free(path);
}

static void npy_refuses(void **state)
{
    static const struct {
        const char *header, *message;
        size_t bytes;
    } cases[] = {
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", "truncated", 23},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", "too long", 25},
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }", "big-endian", 8},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", "Python objects", 8},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", "structured", 4},
        {"{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", "expected float16", 8},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (18446744073709551615, 3), }", "overflows", 4},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", "too large", 4},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904,), }", "overflows", 4},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (461168601842738790,), }", "truncated", 4},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", "no number", 4},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }", "more than 8", 4},
        {"{'descr': '<f4', 'fortran_order': False}", "lacks", 4},
        {"{'descr': '<f4', 'fortran_order': Maybe, 'shape': (1,)}", "neither", 4},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'shape': (2,)}", "repeated", 4},
        {"{'descr': '<f4", "structured", 4},
        {"", "no dictionary", 4},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char *path = write_npy(1, cases[i].header, cases[i].bytes);
        struct clrnn_npy *npy;

        assert_int_equal(clrnn_npy_open(&kept.log, path, &npy), CLRNN_ERR_DATA);
        if (!strstr(kept.text, cases[i].message))
            fail_msg("header %s: \"%s\" lacks \"%s\"", cases[i].header, kept.text, cases[i].message);
        assert_non_null(strstr(kept.text, "x.npy"));
        free(path);
    }
}

// Every prefix of a valid file, and a valid file with any one byte of its header changed, must be read or refused,
// without a crash.
static void npy_survives_damage(void **state)
{
    const char *header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
    unsigned char good[256] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)strlen(header), 0};
    const size_t size = 10 + strlen(header) + 24;
    struct clrnn_npy *npy;
    char *path;

    (void)state;
    memcpy(good + 10, header, strlen(header));
    for (size_t length = 0; length < size; length++) {
        path = write_file("damaged.npy", good, length);
        assert_int_equal(clrnn_npy_open(&kept.log, path, &npy), CLRNN_ERR_DATA);
        free(path);
    }
    for (size_t at = 0; at < 10 + strlen(header); at++)
        for (int flip = 1; flip < 256; flip <<= 1) {
            unsigned char bad[256];

            memcpy(bad, good, sizeof(bad));
            bad[at] ^= (unsigned char)flip;
            path = write_file("damaged.npy", bad, size);
            if (clrnn_npy_open(NULL, path, &npy) == CLRNN_OK) {
                double values[64];

                assert_true(npy->count <= 24);
                clrnn_npy_read_f64(npy, 0, npy->count, values);
            }
            clrnn_npy_close(&npy);
            free(path);
        }
}

static char *write_safetensors(const char *header, size_t data)
{
    unsigned char file[4096] = {0};
    const uint64_t length = strlen(header);

    memcpy(file, &length, 8);
    memcpy(file + 8, header, length);
    return write_file("m.safetensors", file, 8 + length + data);
}

static void safetensors_write_reads_back(void **state)
{
    const float a[] = {1, 2, 3, 4, 5, 6};
    const int64_t b = 7;
    const size_t shape[] = {2, 3};
    struct clrnn_safetensors_writer *writer;
    struct clrnn_safetensors *file;
    const struct clrnn_safetensor *t;
    char *path = test_folder_path("w.safetensors");
    double values[6];

    (void)state;
    assert_int_equal(clrnn_safetensors_writer_create(&kept.log, &writer), CLRNN_OK);
    assert_int_equal(clrnn_safetensors_add_metadata(writer, "config", "model:\n  \"x\": 1\n"), CLRNN_OK);
    assert_int_equal(clrnn_safetensors_add(writer, "fc.weight", CLRNN_DTYPE_F32, 2, shape, a), CLRNN_OK);
    assert_int_equal(clrnn_safetensors_add(writer, "n", CLRNN_DTYPE_I64, 0, NULL, &b), CLRNN_OK);
    assert_int_equal(clrnn_safetensors_write(writer, path), CLRNN_OK);
    clrnn_safetensors_writer_destroy(&writer);

    assert_int_equal(clrnn_safetensors_open(&kept.log, path, &file), CLRNN_OK);
    assert_string_equal(clrnn_safetensors_metadata(file, "config"), "model:\n  \"x\": 1\n");
    assert_null(clrnn_safetensors_metadata(file, "nothing"));
    t = clrnn_safetensors_find(file, "fc.weight");
    assert_non_null(t);
    assert_int_equal(t->ndim, 2);
    clrnn_dtype_to_f64(t->dtype, t->data, t->count, values);
    assert_true(values[5] == 6);
    t = clrnn_safetensors_find(file, "n");
    assert_non_null(t);
    assert_int_equal(t->ndim, 0);
    assert_memory_equal(t->data, &b, 8);
    clrnn_safetensors_close(&file);
    free(path);
}

static void safetensors_refuses(void **state)
{
    static const struct {
        const char *header, *message;
        size_t data;
    } cases[] = {
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", "outside the file", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", "needs 8 bytes", 8},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", "the file holds 12", 12},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", "leave a hole", 8},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
         "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
         "overlap", 8},
        {"{\"a\":{\"dtype\":\"Q4\",\"shape\":[1],\"data_offsets\":[0,4]}}", "dtype Q4", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", "no size", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296,4294967296],\"data_offsets\":[0,4]}}", "overflows",
         4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]}}", "outside", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", "two data_offsets", 4},
        {"{\"a\":3}", "needs dtype", 0},
        {"{\"__metadata__\":{\"k\":1}}", "no text", 0},
        {"[1]", "no JSON object", 0},
        {"{\"a\":", "no JSON object", 0},
    };
    struct clrnn_safetensors *file;
    char *path;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        path = write_safetensors(cases[i].header, cases[i].data);
        assert_int_equal(clrnn_safetensors_open(&kept.log, path, &file), CLRNN_ERR_DATA);
        if (!strstr(kept.text, cases[i].message))
            fail_msg("%s: \"%s\" lacks \"%s\"", cases[i].header, kept.text, cases[i].message);
        free(path);
    }
    path = write_file("huge.safetensors", "\xff\xff\xff\xff\xff\xff\xff\x7f{}", 10);
    assert_int_equal(clrnn_safetensors_open(&kept.log, path, &file), CLRNN_ERR_DATA);
    assert_non_null(strstr(kept.text, "no safetensors file"));
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(npy_versions_and_dtypes),
        cmocka_unit_test(npy_fortran_order),
        cmocka_unit_test(npy_half_precision),
        cmocka_unit_test(npy_write_reads_back),
        cmocka_unit_test(npy_refuses),
        cmocka_unit_test(npy_survives_damage),
        cmocka_unit_test(safetensors_write_reads_back),
        cmocka_unit_test(safetensors_refuses),
    };

    return cmocka_run_group_tests(tests, test_folder_make, test_folder_remove);
}
