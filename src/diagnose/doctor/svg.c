// SPDX-License-Identifier: MIT
// Draws the charts of the doctor's page.
#include "diagnose/doctor/svg.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/text.h"

#define WIDTH 420.0
#define HEIGHT 240.0
#define LEFT 52.0
#define RIGHT 408.0
#define TOP 40.0
#define BOTTOM 196.0
#define MOST_CLASSES 12u

void clrnn_html_text(FILE *page, const char *text)
{
    static const char *const entity[UCHAR_MAX + 1] = {
        ['&'] = "&amp;", ['<'] = "&lt;", ['>'] = "&gt;", ['"'] = "&quot;", ['\''] = "&#39;"};
    char *shown = clrnn_text_escape(text ? text : "", CLRNN_TEXT_SHOWN);

    for (const char *c = shown ? shown : "?"; *c; c++)
        if (entity[(unsigned char)*c])
            fputs(entity[(unsigned char)*c], page);
        else
            fputc(*c, page);
    free(shown);
}

static void begin(FILE *page, const char *title, double height)
{
    fprintf(page, "<figure><svg viewBox=\"0 0 %g %g\" role=\"img\" aria-label=\"", WIDTH, height);
    clrnn_html_text(page, title);
    fputs("\">\n<text class=\"title\" x=\"8\" y=\"16\">", page);
    clrnn_html_text(page, title);
    fputs("</text>\n", page);
}

static void end(FILE *page)
{
    fputs("</svg></figure>\n", page);
}

static void label(FILE *page, double x, double y, const char *anchor, const char *text)
{
    fprintf(page, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
    clrnn_html_text(page, text);
    fputs("</text>\n", page);
}

// Prints a number with few digits: 0.123, 4590, 1.2e6.
static const char *number(double value, char text[32])
{
    const double size = fabs(value);
    char *exponent;

    snprintf(text, 32, size >= 1000 && size < 1e5 ? "%.0f" : size >= 1e5 ? "%.1e" : "%.3g", value);
    exponent = strchr(text, 'e');
    if (exponent) {
        const int power = atoi(exponent + 1);

        snprintf(exponent, (size_t)(text + 32 - exponent), "e%d", power);
    }
    return text;
}

// ---------------------------------------------------------------- lines

struct axis {
    double low, high;
    bool log;
};

static bool shown(const struct axis *a, double value)
{
    return isfinite(value) && (!a->log || value > 0);
}

static double height_of(const struct axis *a, double value)
{
    const double v = a->log ? log10(value) : value;

    return BOTTOM - (BOTTOM - TOP) * (v - a->low) / (a->high - a->low);
}

static void take(struct axis *a, double value)
{
    if (!shown(a, value))
        return;
    a->low = fmin(a->low, a->log ? log10(value) : value);
    a->high = fmax(a->high, a->log ? log10(value) : value);
}

static bool any_positive(const struct clrnn_svg_chart *c)
{
    for (size_t s = 0; s < ARRAY_SIZE(c->series); s++)
        for (size_t i = 0; c->series[s].value && i < c->series[s].count; i++)
            if (isfinite(c->series[s].value[i]) && c->series[s].value[i] > 0)
                return true;
    return false;
}

// Computes the y axis. Returns false if there is nothing to draw. Without a positive value, the axis is linear even if
// the chart asks for a logarithmic one.
static bool scale(const struct clrnn_svg_chart *c, struct axis *a)
{
    *a = (struct axis){INFINITY, -INFINITY, c->log && any_positive(c)};
    for (size_t s = 0; s < ARRAY_SIZE(c->series); s++)
        for (size_t i = 0; c->series[s].value && i < c->series[s].count; i++)
            take(a, c->series[s].value[i]);
    if (a->low > a->high)
        return false;
    take(a, c->level);
    if (a->log) {
        a->low = floor(a->low);
        a->high = fmax(ceil(a->high), a->low + 1);
    } else {
        const double margin = fmax(0.05 * (a->high - a->low), 1e-3 * fmax(fabs(a->high), 1e-30));

        a->low = a->low >= 0 && a->low <= 0.3 * a->high ? 0 : a->low - margin;
        a->high = a->high > 0 || a->low < 0 ? a->high + margin : 1;
    }
    return true;
}

// Draws a horizontal line over the whole width.
static void across(FILE *page, const char *class, double y)
{
    fprintf(page, "<line class=\"%s\" x1=\"%g\" x2=\"%g\" y1=\"%.1f\" y2=\"%.1f\"/>\n", class, LEFT, RIGHT, y, y);
}

// Draws the horizontal lines of the y axis and their values.
static void draw_grid(FILE *page, const struct axis *a)
{
    const int decades = a->log ? (int)(a->high - a->low) : 0, ticks = 4;
    const int stride = a->log ? MAX2((decades + ticks - 1) / ticks, 1) : 1;
    char text[32];

    for (int i = 0; i <= (a->log ? decades : ticks); i += stride) {
        const double v = a->log ? a->low + i : a->low + (a->high - a->low) * i / ticks;
        const double y = height_of(a, a->log ? pow(10, v) : v);

        if (a->log)
            snprintf(text, sizeof(text), "1e%.0f", v);
        else
            number(v, text);
        across(page, "grid", y);
        label(page, LEFT - 6, y + 4, "end", text);
    }
}

static double place(const struct clrnn_svg_chart *c, size_t i, size_t count)
{
    const double margin = c->name ? 26 : 8; // space beside the first and the last value

    return count > 1 ? LEFT + margin + (RIGHT - LEFT - 2 * margin) * (double)i / (double)(count - 1)
                     : (LEFT + RIGHT) / 2;
}

static void draw_names(FILE *page, const struct clrnn_svg_chart *c)
{
    const size_t count = c->series[0].count, stride = count / 6 + 1;
    char text[32];

    if (!c->name) {
        label(page, LEFT + 8, BOTTOM + 16, "middle", "1");
        snprintf(text, sizeof(text), "%g", c->last_x);
        label(page, RIGHT - 8, BOTTOM + 16, "middle", text);
        return;
    }
    for (size_t i = 0; i < count; i += stride)
        label(page, place(c, i, count), BOTTOM + 16, "middle", c->name[i]);
}

static void draw_series(FILE *page, const struct clrnn_svg_chart *c, const struct axis *a, size_t s)
{
    const struct clrnn_svg_series *v = &c->series[s];
    bool down = false;

    if (!v->value)
        return;
    fprintf(page, "<path class=\"s%zu\" d=\"", s);
    for (size_t i = 0; i < v->count; i++) {
        if (!shown(a, v->value[i])) {
            down = false;
            continue;
        }
        fprintf(page, "%c%.1f %.1f", down ? 'L' : 'M', place(c, i, v->count), height_of(a, v->value[i]));
        down = true;
    }
    fputs("\"/>\n", page);
    for (size_t i = 0; (c->name || v->count == 1) && i < v->count; i++)
        if (shown(a, v->value[i]))
            fprintf(page, "<circle class=\"d%zu\" r=\"3\" cx=\"%.1f\" cy=\"%.1f\"/>\n", s, place(c, i, v->count),
                    height_of(a, v->value[i]));
}

static void draw_legend(FILE *page, const struct clrnn_svg_chart *c)
{
    double x = LEFT;

    for (size_t s = 0; s < ARRAY_SIZE(c->series); s++) {
        if (!c->series[s].value)
            continue;
        fprintf(page, "<path class=\"s%zu\" d=\"M%g 28h16\"/>\n", s, x);
        label(page, x + 20, 32, "start", c->series[s].name);
        x += 34 + 6.5 * (double)strlen(c->series[s].name);
    }
    if (isfinite(c->level)) {
        fprintf(page, "<path class=\"level\" d=\"M%g 28h16\"/>\n", x);
        label(page, x + 20, 32, "start", "constant answer");
    }
}

void clrnn_svg_lines(FILE *page, const struct clrnn_svg_chart *c)
{
    struct axis a;

    if (!scale(c, &a))
        return;
    begin(page, c->title, HEIGHT);
    draw_grid(page, &a);
    label(page, (LEFT + RIGHT) / 2, HEIGHT - 8, "middle", c->x_label);
    draw_names(page, c);
    draw_legend(page, c);
    if (shown(&a, c->level))
        across(page, "level", height_of(&a, c->level));
    for (size_t s = 0; s < ARRAY_SIZE(c->series); s++)
        draw_series(page, c, &a, s);
    end(page);
}

// ---------------------------------------------------------------- answers by class

void clrnn_svg_answers(FILE *page, const char *title, const struct clrnn_class_result *each, uint32_t classes,
                       bool labels)
{
    const uint32_t shown_classes = MIN2(classes, MOST_CLASSES);
    const double step = fmin(22, 216.0 / fmax(shown_classes, 1)), top = 48;
    const double height = top + step * shown_classes + 28;
    char text[64];

    begin(page, title, height);
    label(page, 8, 38, "start", labels ? "label" : "true class");
    label(page, 84, 38, "start", labels ? "found where it is 1, and not" : "answered rightly, and otherwise");
    for (uint32_t k = 0; k < shown_classes; k++) {
        const double y = top + step * k;
        const uint64_t all = each[k].support, right = all ? (uint64_t)llround(each[k].recall * (double)all) : 0;

        snprintf(text, sizeof(text), "%u", k);
        label(page, 60, y + step * 0.7, "end", text);
        if (all) {
            const double share = (double)right / (double)all;

            fprintf(page,
                    "<rect class=\"d1\" x=\"84\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>"
                    "<rect class=\"rest\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n",
                    y + 2, 230 * share, step - 4, 84 + 230 * share, y + 2, 230 * (1 - share), step - 4);
        }
        snprintf(text, sizeof(text), "%llu of %llu", (unsigned long long)right, (unsigned long long)all);
        label(page, 322, y + step * 0.7, "start", text);
    }
    if (classes > shown_classes) {
        snprintf(text, sizeof(text), "and %u %s more", classes - shown_classes, labels ? "labels" : "classes");
        label(page, 84, height - 8, "start", text);
    }
    end(page);
}

// ---------------------------------------------------------------- target against prediction

static double along(const struct axis *a, double value)
{
    return LEFT + (RIGHT - LEFT) * (value - a->low) / (a->high - a->low);
}

void clrnn_svg_pairs(FILE *page, const char *title, const float *target, const float *prediction, size_t count)
{
    struct axis x = {.low = INFINITY, .high = -INFINITY}, y = x;
    char text[32];

    for (size_t i = 0; i < count; i++) {
        if (!isfinite(target[i]) || !isfinite(prediction[i]))
            continue;
        take(&x, target[i]);
        take(&y, target[i]);
        take(&y, prediction[i]);
    }
    if (!(x.low <= x.high))
        return;
    x.high = x.high > x.low ? x.high : x.low + 1;
    y.high = y.high > y.low ? y.high : y.low + 1;
    begin(page, title, HEIGHT);
    draw_grid(page, &y);
    number(x.low, text);
    label(page, LEFT, BOTTOM + 16, "start", text);
    number(x.high, text);
    label(page, RIGHT, BOTTOM + 16, "end", text);
    label(page, (LEFT + RIGHT) / 2, HEIGHT - 8, "middle", "target");
    label(page, LEFT, 32, "start", "prediction; the line is a right answer");
    fprintf(page, "<line class=\"level\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", along(&x, x.low),
            height_of(&y, x.low), along(&x, x.high), height_of(&y, x.high));
    for (size_t i = 0; i < count; i++)
        if (isfinite(target[i]) && isfinite(prediction[i]))
            fprintf(page, "<circle class=\"d1\" r=\"2.2\" cx=\"%.1f\" cy=\"%.1f\"/>\n", along(&x, target[i]),
                    height_of(&y, prediction[i]));
    end(page);
}
