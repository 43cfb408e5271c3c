// SPDX-License-Identifier: MIT
// Finds gnuplot and runs it.
#include "train/picture.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"

#define MOST_UPRIGHT 5u // with more names than these, the names of the x axis are rotated

extern char **environ;

// Searches the PATH for gnuplot. Returns its path as a new string, or NULL.
static char *find_gnuplot(void)
{
    const char *path = getenv("PATH");

    while (path && *path) {
        const size_t length = strcspn(path, ":");
        char *file = clrnn_format("%.*s/gnuplot", (int)length, path);

        if (file && access(file, X_OK) == 0)
            return file;
        free(file);
        path += length + (path[length] == ':');
    }
    return NULL;
}

// Runs gnuplot on a script and stores the drawing in `to`. gnuplot gets both files as its standard input and output and
// opens no file by name, because it would run a name such as "|command".
static bool draw(const char *gnuplot, FILE *script, FILE *to)
{
    char *arguments[] = {(char *)(uintptr_t)gnuplot, (char *)(uintptr_t) "-d", (char *)(uintptr_t) "-", NULL};
    posix_spawn_file_actions_t actions;
    bool drawn = false;
    pid_t child, ended;
    int status;

    if (fflush(script) || fseek(script, 0, SEEK_SET) || posix_spawn_file_actions_init(&actions))
        return false;
    if (!posix_spawn_file_actions_adddup2(&actions, fileno(script), STDIN_FILENO) &&
        !posix_spawn_file_actions_adddup2(&actions, fileno(to), STDOUT_FILENO) &&
        !posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0) &&
        !posix_spawn(&child, gnuplot, &actions, NULL, arguments, environ)) {
        while ((ended = waitpid(child, &status, 0)) < 0 && errno == EINTR)
            ;
        drawn = ended == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
    posix_spawn_file_actions_destroy(&actions);
    return drawn;
}

// Copies the drawing to `path` atomically. Returns false if the drawing is empty or the file cannot be written.
static bool keep(FILE *svg, const char *path)
{
    char part[4096];
    struct clrnn_out *out;
    size_t got, size = 0;

    rewind(svg);
    if (clrnn_out_open(NULL, path, &out) != CLRNN_OK)
        return false;
    for (; (got = fread(part, 1, sizeof(part), svg)); size += got)
        clrnn_out_write(out, part, got);
    if (!size || ferror(svg)) {
        clrnn_out_abort(&out);
        return false;
    }
    return clrnn_out_commit(&out) == CLRNN_OK;
}

// ---------------------------------------------------------------- a picture

bool clrnn_picture_possible(void)
{
    char *gnuplot = find_gnuplot();
    const bool possible = gnuplot;

    free(gnuplot);
    return possible;
}

bool clrnn_picture_wanted(const struct clrnn_log *log, int plot, const char *none)
{
    const bool possible = plot && clrnn_picture_possible();

    if (plot > 0 && !possible)
        clrnn_log(log, CLRNN_LOG_WARNING, "%s: gnuplot is not installed (Debian: gnuplot-nox)", none);
    return possible;
}

enum clrnn_status clrnn_picture_check(const struct clrnn_log *log, const char *folder, const char *name)
{
    char *path = clrnn_path_join(folder, name), head[1024];
    FILE *file = path ? fopen(path, "rb") : NULL;
    size_t size;
    enum clrnn_status st = path ? CLRNN_OK : clrnn_error_memory(log, 0, "a path");

    if (file) {
        size = fread(head, 1, sizeof(head), file);
        if (!memmem(head, size, "GNUPLOT", 7))
            st = clrnn_error(log, CLRNN_ERR_ARG, "%s: is no picture of ours and would be replaced: name another folder",
                             path);
        fclose(file);
    }
    free(path);
    return st;
}

static void finish(struct clrnn_picture *p)
{
    if (p->script)
        fclose(p->script);
    free(p->gnuplot);
    free(p->path);
    *p = (struct clrnn_picture){0};
}

bool clrnn_picture_begin(const char *folder, const char *name, struct clrnn_picture *p)
{
    *p = (struct clrnn_picture){
        .path = name ? clrnn_path_join(folder, name) : NULL, .script = tmpfile(), .gnuplot = find_gnuplot()};
    if ((name && !p->path) || !p->script || !p->gnuplot) {
        finish(p);
        return false;
    }
    clrnn_picture_height(p, 500);
    fprintf(p->script, "set border 3 linecolor '#606060'\nset tics nomirror textcolor '#303030'\n"
                       "set grid linecolor '#e0e0e0'\n");
    return true;
}

void clrnn_picture_height(const struct clrnn_picture *p, unsigned height)
{
    fprintf(p->script, "set terminal %s noenhanced size 800,%u font 'sans-serif,%d' background '#ffffff'\n",
            p->path ? "svg" : "pngcairo", height, p->path ? 14 : 11);
}

void clrnn_picture_range(const struct clrnn_picture *picture, double low, double high)
{
    const double margin = 0.05 * (high - low);

    if (high > low)
        fprintf(picture->script, "set yrange [%.9g:%.9g]\n", low - margin, high + margin);
}

bool clrnn_picture_end(struct clrnn_picture *p)
{
    FILE *svg = tmpfile();
    const bool drawn = svg && draw(p->gnuplot, p->script, svg) && keep(svg, p->path);

    if (svg)
        fclose(svg);
    finish(p);
    return drawn;
}

// Returns the content of a whole file, which the caller frees. Returns NULL if the file is empty or cannot be read, or
// if there is no memory.
static uint8_t *read_all(FILE *file, size_t *size)
{
    const long length = fseek(file, 0, SEEK_END) ? 0 : ftell(file);
    uint8_t *data = length > 0 ? malloc((size_t)length) : NULL;

    *size = length > 0 ? (size_t)length : 0;
    rewind(file);
    if (data && fread(data, 1, *size, file) != *size) {
        free(data);
        data = NULL;
    }
    return data;
}

bool clrnn_picture_png(struct clrnn_picture *p, uint8_t **png, size_t *size)
{
    FILE *file = tmpfile();

    *png = file && draw(p->gnuplot, p->script, file) ? read_all(file, size) : NULL;
    if (file)
        fclose(file);
    finish(p);
    return *png;
}

void clrnn_picture_text(const struct clrnn_picture *picture, const char *text)
{
    char *shown = clrnn_text_escape(text, CLRNN_TEXT_SHOWN); // escapes newlines, which end a quoted text

    fputc('\'', picture->script);
    for (const char *at = shown ? shown : ""; *at; at++)
        fputs((char[]){*at, *at == '\'' ? '\'' : '\0', '\0'}, picture->script);
    fputc('\'', picture->script);
    free(shown);
}

void clrnn_picture_tics(const struct clrnn_picture *picture, char axis, size_t count, char *const *names,
                        size_t most_characters)
{
    fprintf(picture->script, "set %ctics noenhanced%s (", axis,
            axis == 'x' && count > MOST_UPRIGHT ? " rotate by 45 right" : "");
    for (size_t i = 0; i < count; i++) {
        char *text = clrnn_text_escape(names[i] ? names[i] : "", CLRNN_TEXT_SHOWN);
        char *cut = text && strlen(text) > most_characters ? clrnn_text_fit(text, (int)most_characters) : NULL;

        fputs(i ? ", '" : "'", picture->script);
        // a quote and a percent sign, which begins a format, are doubled
        for (const char *at = cut ? cut : text ? text : ""; *at; at++)
            fputs((char[]){*at, *at == '\'' || *at == '%' ? *at : '\0', '\0'}, picture->script);
        fprintf(picture->script, "' %zu", i);
        free(text);
        free(cut);
    }
    fprintf(picture->script, ")\n");
}
