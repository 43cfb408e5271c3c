// SPDX-License-Identifier: MIT
// The progress bar and its plain form, in the format of the original question.
#include "tools/progress.h"

#include <math.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/array.h"

// A learning rate in the question's format, [1e-04], with more digits if it has more.
static const char *lr_text(double lr, char text[32])
{
    double back;

    snprintf(text, 32, "%.0e", lr);
    if (sscanf(text, "%lf", &back) != 1 || fabs(back - lr) > 1e-9 * fabs(lr))
        snprintf(text, 32, "%.3e", lr);
    return text;
}

static int terminal_columns(void)
{
    struct winsize size;

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

static void draw_bar(struct progress_view *view, const struct clrnn_progress *p)
{
    enum { CELLS = 20 };
    const int full = p->batches ? (int)((uint64_t)CELLS * p->batch / p->batches) : 0;
    char bar[CELLS + 1], lr[32], left[32], line[512];
    int length;

    for (int i = 0; i < CELLS; i++)
        bar[i] = i < full ? '#' : '.';
    bar[CELLS] = 0;
    length = snprintf(line, sizeof(line),
                      "epoch %u/%u [%s] %u/%u  %llu samples  loss %.6f  lr %s  %.0f samples/s  %s left",
                      p->epoch, p->epochs, bar, p->batch, p->batches, (unsigned long long)p->samples, p->loss,
                      lr_text(p->lr, lr), p->samples_per_s,
                      isfinite(p->seconds_left) ? cli_duration(p->seconds_left, left) : "?");
    length = MIN2(length, terminal_columns() - 1);
    fprintf(stderr, "\r%.*s%*s", length, line, MAX2(view->drawn - length, 0), "");
    fflush(stderr);
    view->drawn = length;
}

void progress_clear(struct progress_view *view)
{
    if (view->drawn)
        fprintf(stderr, "\r%*s\r", view->drawn, "");
    view->drawn = 0;
}

// Appends "  train loss 0.123456 accuracy 0.9000 MAE 0.2" to the line, without the values that are unknown.
static void part(char *line, size_t size, const char *which, double loss, double accuracy, double mae)
{
    const size_t used = strlen(line);

    if (isnan(loss) && isnan(accuracy))
        return;
    snprintf(line + used, size - used, "  %s loss %.6f", which, loss);
    if (!isnan(accuracy))
        snprintf(line + strlen(line), size - strlen(line), " accuracy %.4f", accuracy);
    if (!isnan(mae))
        snprintf(line + strlen(line), size - strlen(line), " MAE %.6g", mae);
}

static void print_epoch(const struct clrnn_progress *p)
{
    char line[256] = "", lr[32], took[32];

    part(line, sizeof(line), "train", p->train_loss, p->train_accuracy, p->train_mae);
    part(line, sizeof(line), "valid", p->valid_loss, p->valid_accuracy, p->valid_mae);
    if (!isnan(p->valid_rmse))
        snprintf(line + strlen(line), sizeof(line) - strlen(line), " RMSE %.6g", p->valid_rmse);
    if (!isnan(p->valid_r2))
        snprintf(line + strlen(line), sizeof(line) - strlen(line), " R2 %.4f", p->valid_r2);
    if (p->seconds < 9.95)
        snprintf(took, sizeof(took), "%.1fs", p->seconds);
    else
        cli_duration(p->seconds, took);
    fprintf(stderr, "Epoch %u/%u%s  lr %s  %s%s\n", p->epoch, p->epochs, line, lr_text(p->lr, lr), took,
            p->best ? "  best" : "");
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
        fprintf(stderr, "Batch %u/%u Trained: %llu/%llu Loss: %.8f Step: [%s]\n", p->batch, p->batches,
                (unsigned long long)p->samples, (unsigned long long)p->samples_total, p->loss,
                lr_text(p->lr, lr));
    }
}
