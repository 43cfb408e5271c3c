// SPDX-License-Identifier: MIT
// Kernel sources: the table that tools/embed.py makes of cl/, and flattening a program's includes.
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

/** The text of a file of the table of kernel sources; NULL: the table has no such file. */
const char *clrnn_source_text(const char *name);

/** The source of cl/<stem>.cl with every include of a known file expanded (each file once) and #line, so
 * that compilers name the real file and line; includes of unknown files stay as they are. Files come from
 * `folder` (CLRNN_KERNEL_DIR) if it is not NULL and has them, otherwise from the table. The text is newly
 * allocated. Errors: CLRNN_ERR_ARG: there is no such file. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_source_flatten(const struct clrnn_log *log, const char *folder, const char *stem,
                                       char **source);

#endif
