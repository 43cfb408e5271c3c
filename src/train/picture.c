// SPDX-License-Identifier: MIT
// Finding gnuplot and running it.
#include "train/picture.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

extern char **environ;

// gnuplot on the PATH, in fresh memory; NULL where there is none.
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

// gnuplot's quoted text: a quote inside is doubled.
static void write_quoted(FILE *script, const char *text)
{
    fputc('\'', script);
    for (; *text; text++)
        fprintf(script, *text == '\'' ? "''" : "%c", *text);
    fputc('\'', script);
}

static void write_head(FILE *script, const char *picture)
{
    fprintf(script, "set terminal svg size 800,500 font 'sans-serif,14' background '#ffffff'\nset output ");
    write_quoted(script, picture);
    fprintf(script, "\nset border 3 linecolor '#606060'\nset tics nomirror textcolor '#303030'\n"
                    "set grid linecolor '#e0e0e0'\n");
}

// A script in, a picture out; the picture takes its place only when it is whole.
static bool draw(const char *gnuplot, FILE *script, const char *temporary, const char *picture)
{
    char *arguments[] = {(char *)(uintptr_t)gnuplot, (char *)(uintptr_t) "-", NULL};
    posix_spawn_file_actions_t actions;
    bool drawn = false;
    pid_t child;
    int status;

    if (fflush(script) || fseek(script, 0, SEEK_SET) || posix_spawn_file_actions_init(&actions))
        return false;
    if (!posix_spawn_file_actions_adddup2(&actions, fileno(script), STDIN_FILENO) &&
        !posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0) &&
        !posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0) &&
        !posix_spawn(&child, gnuplot, &actions, NULL, arguments, environ)) {
        pid_t ended;

        while ((ended = waitpid(child, &status, 0)) < 0 && errno == EINTR)
            ;
        drawn = ended == child && WIFEXITED(status) && WEXITSTATUS(status) == 0 &&
                rename(temporary, picture) == 0;
    }
    posix_spawn_file_actions_destroy(&actions);
    if (!drawn)
        unlink(temporary);
    return drawn;
}

// ---------------------------------------------------------------- a picture

bool clrnn_picture_possible(void)
{
    char *gnuplot = find_gnuplot();

    free(gnuplot);
    return gnuplot;
}

static void finish(struct clrnn_picture *p)
{
    if (p->script)
        fclose(p->script);
    free(p->gnuplot);
    free(p->path);
    free(p->temporary);
    *p = (struct clrnn_picture){0};
}

bool clrnn_picture_begin(const char *path, struct clrnn_picture *p)
{
    *p = (struct clrnn_picture){
        .script = tmpfile(),
        .gnuplot = find_gnuplot(),
        .path = clrnn_format("%s", path),
        .temporary = clrnn_format("%s.plotxx", path), // cleaned up as any torn file
    };
    if (p->script && p->gnuplot && p->path && p->temporary) {
        write_head(p->script, p->temporary);
        return true;
    }
    finish(p);
    return false;
}

bool clrnn_picture_end(struct clrnn_picture *p)
{
    const bool drawn = draw(p->gnuplot, p->script, p->temporary, p->path);

    finish(p);
    return drawn;
}

void clrnn_picture_text(const struct clrnn_picture *picture, const char *text)
{
    write_quoted(picture->script, text);
}
