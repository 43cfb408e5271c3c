// SPDX-License-Identifier: MIT
// Choices between variants that do the same work: looked up while launches are made, settled by measuring.
//
// A choice is known by a key: the op and its shape class, which clrnn_launches_class sets, and a name:
// "rnn_fwd lstm T128 N64 C128 H256 D1 variant". Its alternatives are names too, so that the file of measured
// choices (device/tune/tune.h) can be read, and does not mislead where a later version offers others.
#ifndef CLRNN_SRC_DEVICE_TUNE_CHOICE_H
#define CLRNN_SRC_DEVICE_TUNE_CHOICE_H

#include "device/remember/remember.h"

struct clrnn_launches;

#define CLRNN_CHOICE_MOST 8    // alternatives
#define CLRNN_CHOICE_KEY 160   // bytes, the end included
#define CLRNN_CHOICE_OPTION 24 // bytes of an alternative's name, the end included

/** Sets the class of the following launches: what they compute, and sizes rounded by clrnn_tune_size. */
void clrnn_launches_class(struct clrnn_launches *launches, const char *text);

/** Returns the index of the alternative, of `count`, that the following launches should use: the one
 * measured on this device, otherwise `standard`. Every alternative must work for the device and shape.
 * Without a class: `standard`. */
unsigned clrnn_choose(struct clrnn_launches *launches, const char *name, unsigned standard, unsigned count,
                      const char *const *option);

/** A choice that was asked for while the list was made. */
struct clrnn_choice {
    char key[CLRNN_CHOICE_KEY];
    unsigned count, standard, taken;
    char option[CLRNN_CHOICE_MOST][CLRNN_CHOICE_OPTION];
};

/** The different choices asked for so far, in order; NULL for an index beyond the last. */
const struct clrnn_choice *clrnn_launches_choice(const struct clrnn_launches *launches, size_t index);

/** Forces alternative `option` for the choice `key`. A `key` that is only the last word of keys ("variant")
 * stands for all of them that have such an alternative. NULL: no longer forced. For measuring and tests. */
enum clrnn_status clrnn_device_force(struct clrnn_device *device, const char *key, const char *option);

/** Forces the choices in environment CLRNN_CHOICES, "variant=steps,group=128", whose syntax
 * clrnn_environment_check has checked. Errors: CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_device_force_environment(struct clrnn_device *device);

/** Measured milliseconds of a choice, by alternative. NaN: not measured; infinite: it fails. */
struct clrnn_choice_ms {
    double ms[CLRNN_CHOICE_MOST];
};

/** The device's file while choices are measured. */
struct clrnn_choice_file;
enum clrnn_status clrnn_choice_file_open(struct clrnn_device *device, struct clrnn_choice_file **file);
void clrnn_choice_file_close(struct clrnn_choice_file **file);

/** Reads the file's times of a choice. `multiplies`: its alternatives differ in matrix multiplies, so that
 * times are valid only with the settings that multiplies use now. False: some times or the alternative to use
 * are missing. Alternatives stored as failing are always read. */
bool clrnn_choice_file_get(const struct clrnn_choice_file *file, const struct clrnn_choice *choice,
                           bool multiplies, struct clrnn_choice_ms *ms);

/** Stores times and the alternative to use, and writes the file. Errors: CLRNN_ERR_DISK,
 * CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_choice_file_put(struct clrnn_choice_file *file, const struct clrnn_choice *choice,
                                        bool multiplies, const struct clrnn_choice_ms *ms, unsigned use);

#endif
