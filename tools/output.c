// SPDX-License-Identifier: MIT
// Helpers that print escaped texts, numbers with units, and progress.
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "tools/cli.h"

void cli_show_progress(void *user, const char *what)
{
    const struct cli *cli = user;

    clrnn_log(&cli->log, CLRNN_LOG_INFO, "%s", what);
}

void cli_clear_work(struct cli *cli)
{
    if (cli->work.drawn)
        fprintf(stderr, "\r%*s\r", cli->work.drawn, "");
    cli->work.drawn = 0;
}

void cli_show_work(void *user, const char *what, double share)
{
    enum { CELLS = 20 };
    struct cli *cli = user;
    const int columns = cli_columns(STDERR_FILENO) - 1;
    const double now = clrnn_clock();
    char bar[CELLS + 1], left[64] = "", tail[128];
    int length;

    if (!cli->work.drawn) {
        cli->work.began = now;
        cli->work.share = share;
    }
    cli_clear_work(cli);
    if (share >= 1.0) {
        fflush(stderr);
        return;
    }
    for (int i = 0; i < CELLS; i++)
        bar[i] = i < share * CELLS ? '#' : '.';
    bar[CELLS] = '\0';
    if (share > cli->work.share) {
        char seconds[32];

        cli_duration((now - cli->work.began) * (1 - share) / (share - cli->work.share), seconds);
        snprintf(left, sizeof(left), ", %s left", seconds);
    }
    what = cli_shown(what);
    length = snprintf(tail, sizeof(tail), " [%s] %.0f%%%s", bar, 100 * share, left);
    if ((int)strlen(what) + length > columns) // the terminal is too narrow for the bar
        length = snprintf(tail, sizeof(tail), " %.0f%%%s", 100 * share, left);
    cli->work.drawn = fprintf(stderr, "%.*s%s", MAX2(columns - length, 0), what, tail);
    fflush(stderr);
}

static bool lost; // a part of the output is missing for lack of memory

const char *cli_lost(void)
{
    lost = true;
    return "?";
}

const char *cli_shown(const char *text)
{
    static char *kept[8];
    static size_t next;
    char **at = &kept[next++ % ARRAY_SIZE(kept)];

    if (!text || clrnn_text_is_clean(text, CLRNN_TEXT_SHOWN))
        return text ? text : "";
    free(*at);
    *at = clrnn_text_escape(text, CLRNN_TEXT_SHOWN);
    return *at ? *at : cli_lost();
}

void cli_print_lines(const char *text)
{
    for (size_t length; *text; text += length + (text[length] == '\n')) {
        char *line;

        length = strcspn(text, "\n");
        line = strndup(text, length);
        puts(line ? cli_shown(line) : cli_lost());
        free(line);
    }
}

int cli_finish(const struct cli *cli, enum clrnn_status status)
{
    if ((fflush(stdout) || ferror(stdout)) && status != CLRNN_ERR_DISK) { // ERR_DISK: the library has reported it
        fprintf(stderr, "clrnn: error: %s: standard output cannot be written: %s\n", cli->command, strerror(errno));
        if (status == CLRNN_OK || status == CLRNN_FAILED)
            status = CLRNN_ERR_DISK;
    }
    if (lost && (status == CLRNN_OK || status == CLRNN_FAILED)) {
        fprintf(stderr, "clrnn: error: %s: out of memory: \"?\" stands for some of the output\n", cli->command);
        status = CLRNN_ERR_MEMORY;
    }
    return clrnn_status_exit(status);
}

int cli_columns(int fd)
{
    struct winsize size;

    return isatty(fd) && ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col ? MAX2(size.ws_col, 20) : 80;
}

const char *cli_bytes(double bytes, char text[32])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    size_t unit = 0;

    while (bytes >= 999.5 && unit + 1 < ARRAY_SIZE(units)) {
        bytes /= 1000;
        unit++;
    }
    snprintf(text, 32, unit && bytes < 99.95 ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
    return text;
}

const char *cli_count(uint64_t count, const char *noun, char text[32])
{
    snprintf(text, 32, "%llu %s%s", (unsigned long long)count, noun, count == 1 ? "" : "s");
    return text;
}

const char *cli_duration(double seconds, char text[32])
{
    const long whole = seconds < 1e9 ? (long)(seconds + 0.5) : 0;

    if (whole >= 3600)
        snprintf(text, 32, "%ldh%02ldm", whole / 3600, whole / 60 % 60);
    else if (whole >= 60)
        snprintf(text, 32, "%ldm%02lds", whole / 60, whole % 60);
    else
        snprintf(text, 32, "%lds", whole);
    return text;
}
