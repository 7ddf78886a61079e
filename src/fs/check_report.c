/* SPDX-License-Identifier: MIT */
/*
 * What --check says, for a person or for a program. Text is made valid UTF-8 without control characters before it gets
 * here (log_printable()), or by g_utf8_make_valid(), so JSON (RFC 8259) needs little more than quotes and backslashes.
 */
#include "check_private.h"
#include "status_json.h"

#include "base/log.h"

#include <string.h>

#define TEXT_SHOWN 600

static const char *const results[] = {"ok", "FAILED", "no", "skipped"};

struct CheckReport {
    FILE *out;
    gboolean json;
    GString *steps;   /* JSON: the elements of the array */
    GString *members; /* JSON: the rest of the object, each with a comma before it */
};

CheckReport *check_report_new(FILE *out, gboolean json)
{
    CheckReport *report = g_new0(CheckReport, 1);

    report->out = out;
    report->json = json;
    report->steps = g_string_new(NULL);
    report->members = g_string_new(NULL);
    return report;
}

void check_report_free(CheckReport *report)
{
    if (report == NULL)
        return;
    g_string_free(report->steps, TRUE);
    g_string_free(report->members, TRUE);
    g_free(report);
}

void check_report_step(CheckReport *report, const char *step, CheckResult result, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_strdelimit(text, "\n", ' ');
    g_autofree char *shown = log_printable(text, TEXT_SHOWN);
    if (!report->json) {
        fprintf(report->out, "%-12s %-7s %s\n", step, results[result], shown);
        fflush(report->out);
        return;
    }
    g_string_append(report->steps, report->steps->len > 0 ? ",\n  {\"step\": " : "\n  {\"step\": ");
    json_append_string(report->steps, step);
    g_string_append(report->steps, ", \"result\": ");
    json_append_string(report->steps, results[result]);
    g_string_append(report->steps, ", \"text\": ");
    json_append_string(report->steps, shown);
    g_string_append_c(report->steps, '}');
}

void check_report_string(CheckReport *report, const char *name, const char *value)
{
    g_string_append(report->members, ",\n ");
    json_append_string(report->members, name);
    g_string_append(report->members, ": ");
    json_append_string(report->members, value);
}

void check_report_number(CheckReport *report, const char *name, double value)
{
    char digits[G_ASCII_DTOSTR_BUF_SIZE];

    g_string_append(report->members, ",\n ");
    json_append_string(report->members, name);
    g_string_append_printf(report->members, ": %s", g_ascii_formatd(digits, sizeof digits, "%.6g", value));
}

void check_report_text(CheckReport *report, const char *format, ...)
{
    va_list arguments;

    if (report->json)
        return;
    va_start(arguments, format);
    vfprintf(report->out, format, arguments);
    va_end(arguments);
    fputc('\n', report->out);
}

void check_report_finish(CheckReport *report, gboolean good)
{
    if (report->json)
        fprintf(report->out, "{\"ok\": %s,\n \"steps\": [%s]%s}\n", good ? "true" : "false", report->steps->str,
                report->members->str);
    fflush(report->out);
}
