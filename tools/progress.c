// SPDX-License-Identifier: MIT
// Shows a run's progress, as a bar or as plain lines.
#include "tools/progress.h"

#include <math.h>
#include <stdint.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"

// Writes a learning rate as 1e-04, with more digits if it has more.
static const char *lr_text(double lr, char text[32])
{
    double back;

    snprintf(text, 32, "%.0e", lr);
    if (sscanf(text, "%lf", &back) != 1 || fabs(back - lr) > 1e-9 * fabs(lr))
        snprintf(text, 32, "%.3e", lr);
    return text;
}

// A part of a line. Lines are broken only between parts.
struct part {
    int rank; // the bar takes its parts in the order of rank, and leaves out a part that does not fit
    char text[128];
};

static CLRNN_PRINTF(2, 3) void add(struct part *part, const char *format, ...)
{
    const size_t used = strlen(part->text);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(part->text + used, sizeof(part->text) - used, format, arguments);
    va_end(arguments);
}

static void draw_bar(struct progress_view *view, const struct clrnn_progress *p)
{
    enum { CELLS = 20 };
    const uint64_t full = p->batches ? (uint64_t)CELLS * p->batch / p->batches : 0;
    const int columns = cli_columns(STDERR_FILENO) - 1;
    struct part part[] = {{0, ""}, {4, "["}, {3, ""}, {6, ""}, {2, ""}, {5, ""}, {7, ""}, {1, ""}};
    bool shown[ARRAY_SIZE(part)] = {false};
    char text[32];
    int length = -1;

    add(&part[0], "epoch %u/%u", p->epoch, p->epochs);
    for (unsigned i = 0; i < CELLS; i++)
        add(&part[1], "%s%s", i < full ? "#" : ".", i + 1 == CELLS ? "]" : "");
    add(&part[2], "%u/%u", p->batch, p->batches);
    add(&part[3], "%llu samples", (unsigned long long)p->samples);
    add(&part[4], "loss %.6f", p->loss);
    add(&part[5], "lr %s", lr_text(p->lr, text));
    add(&part[6], "%.0f samples/s", p->samples_per_s);
    add(&part[7], "%s left", isfinite(p->seconds_left) ? cli_duration(p->seconds_left, text) : "?");
    for (int rank = 0; rank < (int)ARRAY_SIZE(part); rank++)
        for (size_t i = 0; i < ARRAY_SIZE(part); i++)
            if (part[i].rank == rank && length + 1 + (int)strlen(part[i].text) <= columns) {
                shown[i] = true;
                length += 1 + (int)strlen(part[i].text);
            }
    fputc('\r', stderr);
    for (size_t i = 0, count = 0; i < ARRAY_SIZE(part); i++)
        if (shown[i])
            fprintf(stderr, "%s%s", count++ ? " " : "", part[i].text);
    fprintf(stderr, "%*s", MAX2(view->drawn - length, 0), "");
    fflush(stderr);
    view->drawn = MAX2(length, 0);
}

void progress_clear(struct progress_view *view)
{
    if (view->drawn)
        fprintf(stderr, "\r%*s\r", view->drawn, "");
    view->drawn = 0;
}

// Appends "train loss 0.123456 accuracy 0.9000 MAE 0.2", without the values that are unknown.
static void add_figures(struct part *part, const char *which, double loss, double accuracy, double mae)
{
    if (isnan(loss) && isnan(accuracy))
        return;
    add(part, "%s loss %.6f", which, loss);
    if (!isnan(accuracy))
        add(part, " accuracy %.4f", accuracy);
    if (!isnan(mae))
        add(part, " MAE %.6g", mae);
}

// Prints the line of an epoch. If the terminal is too narrow, the line is broken between parts. In a file or a pipe an
// epoch is always one line.
static void print_epoch(const struct clrnn_progress *p)
{
    const size_t columns = isatty(STDERR_FILENO) ? (size_t)cli_columns(STDERR_FILENO) : SIZE_MAX;
    struct part part[6] = {{0, ""}};
    char text[32];
    size_t used = 0;

    add(&part[0], "Epoch %u/%u", p->epoch, p->epochs);
    add_figures(&part[1], "train", p->train_loss, p->train_accuracy, p->train_mae);
    add_figures(&part[2], "valid", p->valid_loss, p->valid_accuracy, p->valid_mae);
    if (!isnan(p->valid_rmse))
        add(&part[2], " RMSE %.6g", p->valid_rmse);
    if (!isnan(p->valid_r2))
        add(&part[2], " R2 %.4f", p->valid_r2);
    add(&part[3], "lr %s", lr_text(p->lr, text));
    if (p->seconds < 9.95)
        add(&part[4], "%.1fs", p->seconds);
    else
        add(&part[4], "%s", cli_duration(p->seconds, text));
    add(&part[5], "%s", p->best ? "best" : "");
    for (size_t i = 0; i < ARRAY_SIZE(part); i++) {
        const size_t length = strlen(part[i].text);

        if (!length)
            continue;
        if (used && used + 2 + length > columns) {
            fputc('\n', stderr);
            used = 0;
        }
        used += (size_t)fprintf(stderr, "%s%s", i ? "  " : "", part[i].text);
    }
    fputc('\n', stderr);
}

void progress_show(void *user, const struct clrnn_progress *p)
{
    struct progress_view *view = user;
    char lr[32];

    if (view->quiet)
        return;
    if (p->epoch_end) {
        progress_clear(view);
        print_epoch(p);
    } else if (view->terminal) {
        draw_bar(view, p);
    } else {
        fprintf(stderr, "Batch %u/%u Trained: %llu/%llu Loss: %.8f lr: %s\n", p->batch, p->batches,
                (unsigned long long)p->samples, (unsigned long long)p->samples_total, p->loss, lr_text(p->lr, lr));
    }
}
