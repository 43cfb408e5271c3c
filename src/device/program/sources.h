// SPDX-License-Identifier: MIT
// Kernel sources: the table that tools/embed.py makes of the files in cl/, and expanding a program's includes.
#ifndef CLRNN_SRC_DEVICE_PROGRAM_SOURCES_H
#define CLRNN_SRC_DEVICE_PROGRAM_SOURCES_H

#include <stddef.h>

#include "base/log.h"

struct clrnn_source_text {
    const char *name; // "rnn.cl", "slots.h", "Random123/philox.h"
    const char *text;
};
extern const struct clrnn_source_text clrnn_source_texts[];
extern const size_t clrnn_source_text_count;

/** Returns the text of a file in the table of kernel sources. NULL: the table has no such file. */
const char *clrnn_source_text(const char *name);

/** Writes to *source (to be freed) the text of cl/<stem>.cl with its includes expanded, each file once. #line
 * directives let compilers name the original file and line. Includes of unknown files stay as they are. A file comes
 * from `folder` (CLRNN_KERNEL_DIR) if the folder has it, otherwise from the table; `folder` may be NULL. Errors:
 * CLRNN_ERR_ARG: there is no file cl/<stem>.cl, or it includes more than 31 files. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_source_flatten(const struct clrnn_log *log, const char *folder, const char *stem,
                                       char **source);

#endif
