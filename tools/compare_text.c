// SPDX-License-Identifier: MIT
// Prints the result of clrnn compare as text.
#include <math.h>
#include <string.h>

#include "base/array.h"
#include "tools/compare.h"

static const char *short_verdict(const struct clrnn_compare_row *row)
{
    static const char *const words[] = {"", "agrees", "WRONG", "BROKEN"};

    return row->is_ref ? "reference" : words[row->verdict];
}

// How a number is shown. An unknown number is shown as "-".
enum notation { ERROR, SHARE, LOSS, PLACES, WHOLE, SECONDS };

static const char *cell(enum notation notation, double value, char text[32])
{
    snprintf(text, 32, "-");
    if (!isfinite(value))
        return text;
    switch (notation) {
    case ERROR:
        snprintf(text, 32, "%.1e", value);
        break;
    case SHARE:
        snprintf(text, 32, "%.0f%%", 100 * value);
        break;
    case LOSS:
        snprintf(text, 32, "%.7g", value);
        break;
    case PLACES:
        snprintf(text, 32, "%.3f", value);
        break;
    case WHOLE:
        snprintf(text, 32, "%.0f", value);
        break;
    case SECONDS:
        snprintf(text, 32, "%.2f s", value);
        break;
    }
    return text;
}

static double share(struct clrnn_deviation d)
{
    return d.bound > 0 ? d.error / d.bound : NAN;
}

// Returns the largest ratio of an error of a device to its bound. The errors are those of the first step (loss, logits
// and gradients) and of each loss of the curve.
static double worst_share(const struct clrnn_compare_result *r, size_t at)
{
    const struct clrnn_compare_row *row = &r->row[at];
    double worst = fmax(share(row->loss), share(row->logits));

    if (r->param_count)
        worst = fmax(worst, share(row->gradient[row->worst_gradient]));
    for (uint32_t s = 0; s < row->steps; s++)
        worst = fmax(worst, r->deviation[at * r->steps + s] / r->bound[s]);
    return worst;
}

static void print_numbers(const struct clrnn_compare_result *r)
{
    printf("%-8s %-9s %-9s  %8s %8s %9s  %8s  %-13s %12s %8s\n", "", "", "self-test", "loss", "logits", "gradients",
           "of bound", "loss curve", "final loss", "accuracy");
    for (size_t i = 0; i < r->row_count; i++) {
        const struct clrnn_compare_row *row = &r->row[i];
        const char *test = row->is_ref ? "-" : clrnn_verdict_word(row->test.verdict);
        const bool has = row->steps > 0 && !row->is_ref;
        char a[32], b[32], c[32], d[32], e[32], f[32], curve[32];

        if (row->leaves)
            snprintf(curve, sizeof(curve), "leaves at %u", row->leaves);
        else
            cli_count(row->steps, "step", curve);
        printf("%-8s %-9s %-9s  %8s %8s %9s  %8s  %-13s %12s %8s\n", row->spec, short_verdict(row), test ? test : "-",
               has ? cell(ERROR, row->loss.error, a) : "-", has ? cell(ERROR, row->logits.error, b) : "-",
               has && r->param_count ? cell(ERROR, row->gradient[row->worst_gradient].error, c) : "-",
               has ? cell(SHARE, worst_share(r, i), d) : "-", curve, cell(LOSS, row->final_loss, e),
               cell(PLACES, row->final_accuracy, f));
    }
}

static void of_peak(double value, double peak, char text[48])
{
    if (!isfinite(value))
        snprintf(text, 48, "-");
    else if (isfinite(peak))
        snprintf(text, 48, "%.3g of %.3g", value, peak);
    else
        snprintf(text, 48, "%.3g", value);
}

static void print_speed(const struct clrnn_compare_result *r)
{
    printf("\n%-8s %10s %10s %7s  %10s %8s  %-18s %-18s %9s %9s %9s\n", "", "ms/step", "min", "spread", "samples/s",
           "launches", "GFLOP/s", "GB/s", "cold", "warm", "memory");
    for (size_t i = 0; i < r->row_count; i++) {
        const struct clrnn_compare_row *row = &r->row[i];
        const struct clrnn_timing *t = &row->step_ms;
        char a[32], b[32], c[32], d[32], e[32], f[32], flops[48], bytes[48], memory[32];

        of_peak(row->gflops, row->peak.gflops, flops);
        of_peak(row->gb_per_s, row->peak.gb_per_s, bytes);
        printf("%-8s %10s %10s %7s  %10s %8llu  %-18s %-18s %9s %9s %9s\n", row->spec, cell(PLACES, t->median, a),
               cell(PLACES, t->min, b), cell(SHARE, (t->max - t->min) / t->median, c),
               cell(WHOLE, row->samples_per_s, d), (unsigned long long)row->launches_per_step, flops, bytes,
               cell(SECONDS, row->build_cold_s, e), cell(SECONDS, row->build_warm_s, f),
               row->is_ref ? "-" : cli_bytes((double)row->peak_device_bytes, memory));
    }
}

static void print_devices(const struct clrnn_compare_result *r)
{
    printf("\n");
    for (size_t i = 0; i < r->row_count; i++) {
        const struct clrnn_compare_row *row = &r->row[i];

        if (row->is_ref)
            printf("%-8s plain C in double precision\n", row->spec);
        else
            printf("%-8s %s; %s, driver %s, %s\n", row->spec, cli_shown(row->name), cli_shown(row->platform),
                   cli_shown(row->driver), cli_shown(row->opencl));
    }
}

void compare_print(const struct clrnn_compare_result *r)
{
    char steps[32];

    printf("%s of batch %u, held against the reference in double precision. Bounds: 10 times what %u\n"
           "runs of the reference show whose numbers are off by up to 4 units in the last place of float32.\n\n",
           cli_count(r->steps, "training step", steps), r->batch, r->noise_runs);
    print_numbers(r);
    printf("\nfirst step: largest error of loss, logits and gradients over their largest value; final loss "
           "over %u %s "
           "samples\n",
           r->judged, r->judged_valid ? "validation" : "training");
    if (r->speed)
        print_speed(r);
    print_devices(r);
    for (size_t i = 0; i < r->row_count && r->speed; i++)
        if (r->row[i].unmeasured[0])
            printf("%-8s not all of its speed is measured: %s\n", r->row[i].spec, cli_shown(r->row[i].unmeasured));
    for (size_t i = 0; i < r->row_count; i++) {
        const struct clrnn_compare_row *row = &r->row[i];

        if (!row->reason[0])
            continue;
        printf("\n%s %s: %s\n", row->spec, short_verdict(row), cli_shown(row->reason));
        if (row->blame[0])
            printf("    %s\n", cli_shown(row->blame));
    }
    printf("\n%s\n", r->agree ? "All devices agree." : "The devices do not agree.");
}

void compare_print_changes(const char *path, const struct clrnn_compare_result *r,
                           const struct clrnn_baseline_result *changes)
{
    printf("\nAgainst %s%s\n", cli_shown(path),
           changes->same_run ? "" : " (of another config or other steps: losses are not compared)");
    for (size_t row = 0, at = 0; row < r->row_count; row++) {
        const size_t first = at;

        for (; at < changes->count && changes->change[at].row == row; at++)
            printf("%-8s %s\n", at > first ? "" : r->row[row].spec, cli_shown(changes->change[at].text));
        if (at == first)
            printf("%-8s nothing changed\n", r->row[row].spec);
    }
}
