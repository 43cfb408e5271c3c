// SPDX-License-Identifier: MIT
// Writes the doctor's HTML page: the verdict, the findings with charts, and the config file. A line of the config file
// is highlighted if a finding's place (`where`) or its change (`set`) names that line.
#include "diagnose/doctor/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "base/log.h"
#include "base/yaml.h"
#include "diagnose/doctor/svg.h"

static const char style[] =
    ":root{color-scheme:light dark;--ink:#1c2430;--soft:#5b6675;--line:#d8dee6;--back:#f5f7fa;--card:#fff;"
    "--error:#b3261e;--warning:#8a5a00;--note:#2d5f9a;--a:#c2410c;--b:#1d6fb8;--mark:#fff3cd}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#9aa6b5;--line:#3a4452;--back:#14181f;"
    "--card:#1d232c;--error:#ff8a80;--warning:#f5c26b;--note:#8fbcf0;--a:#ff9d6b;--b:#6bb6f5;--mark:#4a3f1c}}\n"
    "*{box-sizing:border-box}body{margin:0;background:var(--back);color:var(--ink);"
    "font:16px/1.5 system-ui,sans-serif}\n"
    "main{max-width:1000px;margin:0 auto;padding:16px}h1{font-size:1.5rem;margin:.3em 0}"
    "h2{font-size:1.1rem;margin:0;overflow-wrap:anywhere}\n"
    "section,.first{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:16px;margin:16px 0}\n"
    "section.effect{margin-left:24px}.first{border-left:6px solid var(--b);font-weight:600;overflow-wrap:anywhere}\n"
    ".error h2 b{color:var(--error)}.warning h2 b{color:var(--warning)}.note h2 b{color:var(--note)}\n"
    "dl{display:grid;grid-template-columns:6.5em 1fr;gap:4px 12px;margin:12px 0 0}dt{color:var(--soft)}"
    "dd{margin:0;overflow-wrap:anywhere;white-space:pre-line;min-width:0}\n"
    "code,pre{font:14px/1.5 ui-monospace,monospace}dd code{background:var(--back);padding:1px 4px;"
    "border-radius:4px;white-space:pre-wrap;display:inline-block}\n"
    ".pictures{display:flex;flex-wrap:wrap;gap:12px;margin-top:12px}figure{margin:0;flex:1 1 360px;max-width:470px}"
    "svg{width:100%;height:auto;display:block}\n"
    "svg text{font:12px system-ui,sans-serif;fill:var(--soft)}svg .title{font-size:13px;font-weight:600;"
    "fill:var(--ink)}\n"
    ".grid{stroke:var(--line)}.level{stroke:var(--soft);stroke-dasharray:4 4;fill:none}"
    ".s0{stroke:var(--a);fill:none;stroke-width:2}.s1{stroke:var(--b);fill:none;stroke-width:2;}"
    ".d0{fill:var(--a)}.d1{fill:var(--b)}.rest{fill:var(--line)}\n"
    ".config{overflow-x:auto}.config pre{margin:0;min-width:max-content}.config i{color:var(--soft);font-style:normal;"
    "display:inline-block;width:2.6em;text-align:right;padding-right:.8em}\n"
    ".config span{display:block;padding-right:12px}.config .marked{background:var(--mark)}a{color:var(--b)}\n"
    "@media(max-width:600px){main{padding:8px}section,.first{padding:12px}section.effect{margin-left:8px}"
    "dl{grid-template-columns:1fr}dt{margin-top:6px}figure{flex-basis:260px}}\n"
    ".seen{color:var(--soft);margin:12px 0 0}\n";

// ---------------------------------------------------------------- findings

static void entry(FILE *page, const char *name, const char *text, bool code)
{
    if (!text || !*text)
        return;
    fprintf(page, "<dt>%s</dt><dd>%s", name, code ? "<code>" : "");
    for (const char *line = text; *line;) { // keeps line breaks, escapes other control characters
        const size_t length = strcspn(line, "\n");
        char *piece = strndup(line, length);

        clrnn_html_text(page, piece ? piece : "?");
        free(piece);
        line += length;
        if (*line)
            fputc(*line++, page);
    }
    fprintf(page, "%s</dd>\n", code ? "</code>" : "");
}

static void write_finding(FILE *page, const struct clrnn_doctor *d, size_t i, size_t at[CLRNN_REPORT_PICTURES])
{
    static const char *const severity[] = {"error", "warning", "note"};
    const struct clrnn_finding *f = &d->result->finding[i];

    fprintf(page, "<section id=\"finding-%zu\" class=\"%s%s\"><h2><b>%s</b> %s</h2>\n<dl>", i + 1,
            severity[f->severity], f->follows_from ? " effect" : "", severity[f->severity], f->id);
    if (f->follows_from)
        fprintf(page, "<dt>follows from</dt><dd><a href=\"#finding-%zu\">%s</a></dd>\n",
                clrnn_doctor_place_of(d->result, f->follows_from) + 1, f->follows_from);
    entry(page, "where", f->where, false);
    entry(page, "evidence", f->evidence, false);
    entry(page, "costs", f->cost, false);
    entry(page, "remedy", f->remedy, false);
    entry(page, "change", f->set, true);
    entry(page, "tried", f->tried, false);
    fputs("</dl>\n", page);
    clrnn_report_pictures(page, d, f, i + 1, at);
    fputs("</section>\n", page);
}

// ---------------------------------------------------------------- the config

// Returns the line number, in the config file, to which a text such as "train.scheduler.step_lr: ..." refers by the
// path of keys at its beginning. If the file has only the first keys of that path, returns the line of the last of
// these. 0: the file has none of them.
static int line_of(const struct clrnn_node *root, const char *path)
{
    const struct clrnn_node *node = path[strcspn(path, ".[]=:, ")] == '.' ? root : NULL;
    int line = 0;

    while (node && *path) {
        const size_t length = strcspn(path, ".[]=:, ");
        char *key = strndup(path, length), *end;
        const size_t index = key ? strtoul(key, &end, 10) : 0;

        if (key && node->kind == CLRNN_NODE_LIST)
            node = *key && !*end && index < node->count ? node->child[index] : NULL;
        else
            node = key && *key ? clrnn_node_find(node, key) : NULL;
        free(key);
        line = node ? node->line : line;
        path += length;
        path += strspn(path, ".[]") * (*path != '=' && *path != ':' && *path != ' ');
        if (*path == '=' || *path == ':' || *path == ',' || *path == ' ')
            break;
    }
    return line;
}

static bool changes_line(const struct clrnn_node *root, const char *set, int line)
{
    while (set && *set) {
        const char *path = strstr(set, "model.layers.") && !strncmp(set, "delete", 6) ? set + 7 : set;

        if (!strncmp(set, "exchange ", 9))
            path = set + 9;
        if (line_of(root, path) == line)
            return true;
        set += strcspn(set, "\n");
        set += *set == '\n';
    }
    return false;
}

static bool is_about(const struct clrnn_node *root, const struct clrnn_finding *f, int line)
{
    return line_of(root, f->where) == line || changes_line(root, f->set, line);
}

static void write_line(FILE *page, const struct clrnn_doctor *d, const struct clrnn_node *root, int number,
                       const char *line)
{
    const struct clrnn_doctor_result *r = d->result;
    bool marked = false;

    for (size_t i = 0; i < r->count && !marked; i++)
        marked = is_about(root, &r->finding[i], number);
    fprintf(page, "<span%s><i>%d</i>", marked ? " class=\"marked\"" : "", number);
    clrnn_html_text(page, line);
    for (size_t i = 0; i < r->count && marked; i++)
        if (is_about(root, &r->finding[i], number))
            fprintf(page, "  <a href=\"#finding-%zu\">%s</a>", i + 1, r->finding[i].id);
    fputs("</span>", page);
}

// Writes the config file. Highlights each line to which a finding refers, and links it to that finding.
static void write_config(FILE *page, const struct clrnn_doctor *d)
{
    const struct clrnn_log silent = {0};
    struct clrnn_node *root = NULL;
    FILE *file = d->config->path ? fopen(d->config->path, "r") : NULL;
    char *line = NULL;
    size_t size = 0;

    if (!file || clrnn_yaml_read(&silent, d->config->path, &root) != CLRNN_OK) {
        if (file)
            fclose(file);
        return;
    }
    fputs("<section class=\"config\"><h2>", page);
    clrnn_html_text(page, d->config->path);
    fputs("</h2>\n<pre>", page);
    for (int number = 1; getline(&line, &size, file) >= 0; number++) {
        line[strcspn(line, "\r\n")] = 0;
        write_line(page, d, root, number, line);
    }
    fputs("</pre></section>\n", page);
    free(line);
    fclose(file);
    clrnn_yaml_destroy(&root);
}

// ---------------------------------------------------------------- the page

static void write_page(FILE *page, const struct clrnn_doctor *d)
{
    const struct clrnn_doctor_result *r = d->result;
    size_t at[CLRNN_REPORT_PICTURES] = {0};

    fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>clrnn doctor: ",
          page);
    clrnn_html_text(page, d->config->path ? d->config->path : "a config");
    fprintf(page, "</title>\n<style>\n%s</style></head>\n<body><main>\n<h1>", style);
    clrnn_html_text(page, d->config->path ? d->config->path : "A config");
    fputs("</h1>\n<p>", page);
    clrnn_html_text(page, r->verdict);
    fputs("</p>\n", page);
    if (*r->first) {
        fputs("<p class=\"first\">", page);
        clrnn_html_text(page, r->first);
        fputs("</p>\n", page);
    }
    for (size_t i = 0; i < r->count; i++)
        write_finding(page, d, i, at);
    if (!r->count) {
        fputs("<section>\n", page);
        clrnn_report_pictures(page, d, &(struct clrnn_finding){.id = "underfitting"}, 1, at);
        fputs("</section>\n", page);
    }
    write_config(page, d);
    fputs("</main></body></html>\n", page);
}

enum clrnn_status clrnn_doctor_report_page(const struct clrnn_doctor *d)
{
    enum clrnn_status st;
    char *text = NULL;
    size_t size = 0;
    FILE *page;

    if (!d->params->report)
        return CLRNN_OK;
    page = clrnn_text_open(&text, &size);
    if (page)
        write_page(page, d);
    if (!page || !clrnn_text_close(page, &text))
        return clrnn_error_memory(d->log, size, d->params->report);
    st = clrnn_write_text(d->log, d->params->report, text);
    free(text);
    return st;
}
