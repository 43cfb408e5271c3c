// SPDX-License-Identifier: MIT
// Helpers of tests of models and of training: a temporary folder, data files, a log that stores messages, a
// device.
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
    char error[4096], warning[4096], info[16384]; // last error and warning; all info messages
    unsigned errors;
    void (*test)(struct scratch *s); // that SCRATCH_TEST gave
};

struct scratch_test {
    void (*test)(struct scratch *s);
    const char *select;
};

/** A test that is given a scratch, of a new folder and a device: "ref", NULL (CLRNN_DEVICE, else "cpu"), or
 * "" for none. Where there is none for NULL this is printed and the test not run. (cmocka's skip() prints
 * "not ok", which meson takes for a failure.) */
#define SCRATCH_TEST(test, on) scratch_unit_test(#test "(" #on ")", &(struct scratch_test){test, on})
struct CMUnitTest scratch_unit_test(const char *name, struct scratch_test *test);
/** A scratch beside the test's own. NULL only of NULL: there is no device, which was printed. */
struct scratch *scratch_open(const char *select);
void scratch_close(struct scratch *s);

/** "<folder>/<name>", static until eight calls later. */
const char *scratch_path(const struct scratch *s, const char *name);
/** The content of a file as text, to be freed; NULL if it does not exist. */
char *scratch_read(const struct scratch *s, const char *name, size_t *size);
void scratch_write(const struct scratch *s, const char *name, const char *text);

/** Files of numbers; a zero ends the shape. */
void scratch_f32(const struct scratch *s, const char *name, const float *values, size_t a, size_t b,
                 size_t c);
void scratch_i64(const struct scratch *s, const char *name, const int64_t *values, size_t a, size_t b);

/** A small problem that can be learnt: X (N, T, C), class y (N) or (N, T), lengths; C 0: tokens. */
void scratch_problem(const struct scratch *s, const char *part, uint32_t N, uint32_t T, uint32_t C,
                     uint32_t classes, bool steps, uint64_t seed);

/** A config from text, with data paths relative to the folder; the test fails if it is refused. */
struct clrnn_config *scratch_config(struct scratch *s, const char *text);

/** Fails unless the last error contains each of the words (NULL ends them). */
void scratch_expect(const struct scratch *s, ...);
#endif
