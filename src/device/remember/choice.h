// SPDX-License-Identifier: MIT
// Choices between variants of launches that compute the same. Launches look choices up when they are appended to a
// list; `clrnn tune` measures which variant is best.
//
// A choice has a key, "rnn_fwd lstm T128 N64 C128 H256 D1 variant": the op with its shape class (clrnn_launches_class),
// and the choice's name. The alternatives of a choice have names instead of numbers. So the file of measured choices
// (device/remember/file.c) is readable, and is still right if a later version offers other alternatives.
#ifndef CLRNN_SRC_DEVICE_TUNE_CHOICE_H
#define CLRNN_SRC_DEVICE_TUNE_CHOICE_H

#include "device/remember/remember.h"

struct clrnn_launches;

#define CLRNN_CHOICE_MOST 8    // most alternatives of a choice
#define CLRNN_CHOICE_KEY 160   // bytes of a key, the terminating 0 included
#define CLRNN_CHOICE_OPTION 24 // bytes of an alternative's name, the terminating 0 included

/** Sets the class of the launches that follow. The text says what the launches compute and for which sizes, rounded by
 * clrnn_tune_size. */
void clrnn_launches_class(struct clrnn_launches *launches, const char *text);

/** Returns the index, below `count`, of the alternative that the following launches should use: the one measured as
 * fastest on this device, otherwise `standard`. Every alternative must work for the device and shape. If
 * clrnn_launches_class has set no class for the op, returns `standard`. */
unsigned clrnn_choose(struct clrnn_launches *launches, const char *name, unsigned standard, unsigned count,
                      const char *const *option);

/** A choice that clrnn_choose was asked for while the list was made. */
struct clrnn_choice {
    char key[CLRNN_CHOICE_KEY];
    unsigned count, standard, taken; // number of alternatives; index of the default one, and of the one in use
    char option[CLRNN_CHOICE_MOST][CLRNN_CHOICE_OPTION];
};

/** Returns choice number `index`, from 0. The choices that clrnn_choose was asked for are counted once each. NULL:
 * there are not so many. */
const struct clrnn_choice *clrnn_launches_choice(const struct clrnn_launches *launches, size_t index);

/** Makes clrnn_choose return the alternative `option` for the choice `key`. If `key` is only the last word of keys
 * ("variant"), this applies to all choices with that word that have such an alternative. With `option` NULL, the choice
 * is no longer forced. For measuring and tests. Errors: CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_device_force(struct clrnn_device *device, const char *key, const char *option);

/** Forces the choices in environment CLRNN_CHOICES, "variant=steps,group=128", whose syntax clrnn_environment_check has
 * checked. Errors: CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_device_force_environment(struct clrnn_device *device);

/** Measured milliseconds of each alternative of a choice. NaN: not measured. Infinite: the alternative fails. */
struct clrnn_choice_ms {
    double ms[CLRNN_CHOICE_MOST];
};

/** A device's file of measurements, open while choices are measured. Opaque. */
struct clrnn_choice_file;
enum clrnn_status clrnn_choice_file_open(struct clrnn_device *device, struct clrnn_choice_file **file);
void clrnn_choice_file_close(struct clrnn_choice_file **file);

/** Reads the times of a choice from the file. `multiplies`: the alternatives differ in matrix multiplies. Their times
 * are then valid only if they were measured with the parameters that CLBlast uses now. An alternative that is stored as
 * failing is valid in any case. Returns false if the file lacks a valid time of an alternative, or does not say which
 * alternative to use. */
bool clrnn_choice_file_get(const struct clrnn_choice_file *file, const struct clrnn_choice *choice, bool multiplies,
                           struct clrnn_choice_ms *ms);

/** Stores the times of a choice and the index `use` of the alternative to use, and writes the file. Errors:
 * CLRNN_ERR_DISK, CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_choice_file_put(struct clrnn_choice_file *file, const struct clrnn_choice *choice,
                                        bool multiplies, const struct clrnn_choice_ms *ms, unsigned use);

#endif
