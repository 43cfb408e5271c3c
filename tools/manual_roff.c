// SPDX-License-Identifier: MIT
// Prints text of man pages.
#include "tools/manual.h"

void manual_roff(const char *text)
{
    bool line_start = true;

    for (const char *c = text; *c; c++) {
        if (line_start && (*c == '.' || *c == '\''))
            fputs("\\&", stdout);
        if (*c == '\\')
            fputs("\\e", stdout);
        else if (*c == '-')
            fputs("\\-", stdout);
        else
            putchar(*c);
        line_start = *c == '\n';
    }
}

void manual_title(const char *name, int section)
{
    printf(".\\\" made by clrnn help --format man\n.TH %s %d \"\" \"clrnn %s\" clRNN\n.SH NAME\n", name, section,
           clrnn_version());
}
