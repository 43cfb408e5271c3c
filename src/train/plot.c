// SPDX-License-Identifier: MIT
// The two pictures of a run, drawn by gnuplot: the loss of each epoch, and how many samples a class has.
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/array.h"
#include "base/file.h"
#include "train/run_folder.h"

extern char **environ;

#define LOG_SCALE_FROM 1000.0 // largest loss over smallest
#define MOST_BARS_NAMED 30u

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

// ---------------------------------------------------------------- loss.svg

static void write_series(FILE *script, const struct clrnn_run_folder *f, bool valid)
{
    for (size_t i = 0; i < f->count; i++) {
        const double loss = valid ? f->row[i].valid_loss : f->row[i].train_loss;

        if (isfinite(loss))
            fprintf(script, "%llu %.9g\n", (unsigned long long)f->row[i].epoch, loss);
    }
    fprintf(script, "e\n");
}

static void write_loss(FILE *script, const struct clrnn_run_folder *f)
{
    double least = INFINITY, most = 0.0;
    size_t train = 0, valid = 0;

    for (size_t i = 0; i < f->count; i++) {
        const double both[] = {f->row[i].train_loss, f->row[i].valid_loss};

        train += isfinite(both[0]);
        valid += isfinite(both[1]);
        for (int k = 0; k < 2; k++)
            if (isfinite(both[k])) {
                least = fmin(least, both[k]);
                most = fmax(most, both[k]);
            }
    }
    fprintf(script,
            "set title 'Loss of each epoch' textcolor '#303030'\nset xlabel 'epoch'\nset ylabel 'loss'\n"
            "set key above right horizontal\n");
    fprintf(script, "set xrange [%g:%llu]\n", f->count > 1 ? 1.0 : 0.0,
            (unsigned long long)(f->count > 1 ? f->row[f->count - 1].epoch : 2));
    if (f->count < 12)
        fprintf(script, "set xtics 1\n");
    if (least > 0.0 && most > LOG_SCALE_FROM * least)
        fprintf(script, "set logscale y\nset format y '%%.0e'\n");
    else if (most > 0.0 && most <= 4.0 * (most - least))
        fprintf(script, "set yrange [0:*]\n"); // a curve that stands still is not blown up
    else if (most > 0.0)
        fprintf(script, "set yrange [0:%g]\n", 1.15 * most);
    if (train)
        fprintf(
            script,
            "plot '-' using 1:2 with linespoints linewidth 2 pointtype 7 pointsize 0.5 linecolor '#1f77b4' "
            "title 'train'");
    if (valid)
        fprintf(script,
                "%s '-' using 1:2 with linespoints linewidth 2 pointtype 7 pointsize 0.5 linecolor '#d62728' "
                "title 'valid'",
                train ? "," : "plot");
    fprintf(script, "\n");
    if (train)
        write_series(script, f, false);
    if (valid)
        write_series(script, f, true);
}

// ---------------------------------------------------------------- classes.svg

static void write_classes(FILE *script, const uint64_t *counts, uint32_t classes, bool steps)
{
    const char *what = steps ? "steps" : "samples";

    fprintf(script,
            "set title 'Training %s of each class' textcolor '#303030'\nset xlabel 'class'\n"
            "set ylabel '%s'\nset yrange [0:*]\nset offsets 0,0,graph 0.08,0\nset key off\n"
            "set style fill solid 0.9 noborder\nset boxwidth 0.6\nset xrange [-0.6:%g]\n",
            what, what, classes - 0.4);
    if (classes <= MOST_BARS_NAMED)
        fprintf(script, "set xtics 1\n");
    fprintf(script, "plot '-' using 1:2 with boxes linecolor '#1f77b4'");
    if (classes <= MOST_BARS_NAMED / 2)
        fprintf(script, ", '-' using 1:2:2 with labels offset 0,0.7 textcolor '#303030'");
    fprintf(script, "\n");
    for (int series = 0; series < (classes <= MOST_BARS_NAMED / 2 ? 2 : 1); series++) {
        for (uint32_t k = 0; k < classes; k++)
            fprintf(script, "%u %llu\n", k, (unsigned long long)counts[k]);
        fprintf(script, "e\n");
    }
}

// ---------------------------------------------------------------- both

static bool make_picture(const char *gnuplot, const struct clrnn_run_folder *f, const char *name,
                         const uint64_t *counts, uint32_t classes, bool steps)
{
    char *picture = clrnn_path_join(f->path, name);
    char *temporary = picture ? clrnn_format("%s.plotxx", picture) : NULL; // cleaned up as any torn file
    FILE *script = tmpfile();
    bool drawn = false;

    if (temporary && script) {
        write_head(script, temporary);
        if (counts)
            write_classes(script, counts, classes, steps);
        else
            write_loss(script, f);
        drawn = draw(gnuplot, script, temporary, picture);
    }
    if (script)
        fclose(script);
    free(temporary);
    free(picture);
    return drawn;
}

void clrnn_plot(const struct clrnn_run_folder *f, const struct clrnn_dataset *train, int plot)
{
    const struct clrnn_dataset_info *info = clrnn_dataset_info(train);
    char *gnuplot = plot ? find_gnuplot() : NULL;
    uint64_t *counts = NULL;
    bool drawn = true, any = false;

    if (!gnuplot) {
        if (plot > 0)
            clrnn_log(f->log, CLRNN_LOG_WARNING,
                      "no pictures: gnuplot is not installed (Debian: gnuplot-nox)");
        return;
    }
    for (size_t i = 0; i < f->count; i++)
        any = any || isfinite(f->row[i].train_loss) || isfinite(f->row[i].valid_loss);
    if (any)
        drawn = make_picture(gnuplot, f, "loss.svg", NULL, 0, false);
    counts = info->classes ? malloc(info->classes * sizeof(*counts)) : NULL;
    if (counts && clrnn_dataset_class_counts(train, counts) == CLRNN_OK)
        drawn =
            make_picture(gnuplot, f, "classes.svg", counts, info->classes, info->y_steps && info->T > 1) &&
            drawn;
    if (!drawn)
        clrnn_log(f->log, CLRNN_LOG_WARNING, "%s: gnuplot could not draw the pictures", f->path);
    free(counts);
    free(gnuplot);
}
