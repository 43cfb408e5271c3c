// SPDX-License-Identifier: MIT
// Helpers of tests of models and of training: a temporary folder, data files, a log that stores messages, a device.
#ifndef CLRNN_TESTS_MODEL_SCRATCH_H
#define CLRNN_TESTS_MODEL_SCRATCH_H

#include "base/random.h"
#include "clrnn/config.h"
#include "clrnn/device.h"
#include "formats/npy.h"
#include "tests/test.h"

struct scratch {
    struct clrnn_log log;
    struct clrnn_device *device;
    char *folder;
    char error[4096], warning[4096], info[16384]; // last error and warning; all messages
    unsigned errors;
    void (*test)(struct scratch *s); // the test given to SCRATCH_TEST
};

struct scratch_test {
    void (*test)(struct scratch *s);
    const char *select;
};

/** A test that gets a struct scratch with a new folder and a device. `on` selects the device, for example "ref"; with
 * "" there is none. NULL selects the device of CLRNN_DEVICE or, if that is not set, "cpu". If `on` is NULL and there is
 * no device, a message is printed and the test is not run. (cmocka's skip() prints "not ok", which meson takes for a
 * failure.) */
#define SCRATCH_TEST(test, on) scratch_unit_test(#test "(" #on ")", &(struct scratch_test){test, on})
struct CMUnitTest scratch_unit_test(const char *name, struct scratch_test *test);
/** Opens a struct scratch in addition to the test's own. Returns NULL if `select` is NULL and there is no device. A
 * message has then been printed. */
struct scratch *scratch_open(const char *select);
void scratch_close(struct scratch *s);

/** Returns "<folder>/<name>" in static memory. The result is valid until the eighth call after this one. */
const char *scratch_path(const struct scratch *s, const char *name);
/** Returns the content of a file as text, which the caller frees; NULL if the file does not exist. */
char *scratch_read(const struct scratch *s, const char *name, size_t *size);
void scratch_write(const struct scratch *s, const char *name, const char *text);

/** scratch_f32 and scratch_i64 write numbers to an .npy file of shape (a, b, c) or (a, b). A dimension of 0 ends the
 * shape. */
void scratch_f32(const struct scratch *s, const char *name, const float *values, size_t a, size_t b, size_t c);
void scratch_i64(const struct scratch *s, const char *name, const int64_t *values, size_t a, size_t b);

/** Writes the files of a small problem that can be learnt. X_PART.npy has numbers (N, T, C) or, if C is 0, tokens
 * (N, T). y_PART.npy has classes: (N, T) with `steps`, otherwise (N). lengths_PART.npy has lengths (N). */
void scratch_problem(const struct scratch *s, const char *part, uint32_t N, uint32_t T, uint32_t C, uint32_t classes,
                     bool steps, uint64_t seed);

/** Makes a config from text, with data paths relative to the folder. The test fails if the config is
 * refused. */
struct clrnn_config *scratch_config(struct scratch *s, const char *text);

/** Fails the test unless the last error contains each of the words. NULL ends the list of words. */
void scratch_expect(const struct scratch *s, ...);
#endif
