/* SPDX-License-Identifier: MIT */
/*
 * Numbers and dates of listings. The calendar is computed here, because strptime() and mktime() look at the locale and
 * at TZ, and because a listing of a million lines should not allocate a GDateTime for each.
 */
#include "list_dialect.h"

#define DAY G_GINT64_CONSTANT(86400)

gboolean list_scan_digits(const char **cursor, guint min, guint max, guint *ret_value)
{
    const char *text = *cursor;
    guint value = 0, digits = 0;

    for (; digits < max && g_ascii_isdigit(text[digits]); digits++)
        value = value * 10 + (guint)(text[digits] - '0');
    if (digits < min || g_ascii_isdigit(text[digits]))
        return FALSE;
    *cursor = text + digits;
    *ret_value = value;
    return TRUE;
}

gboolean list_scan_number(const char **cursor, gint64 *ret_value)
{
    const char *text = *cursor;
    gint64 value = 0;

    if (!g_ascii_isdigit(*text))
        return FALSE;
    for (; g_ascii_isdigit(*text); text++) {
        gint64 digit = *text - '0';

        if (value >= 0)
            value = value > (G_MAXINT64 - digit) / 10 ? -1 : value * 10 + digit;
    }
    *cursor = text;
    *ret_value = value;
    return TRUE;
}

gboolean list_scan_time(const char **cursor, guint *ret_hour, guint *ret_minute, guint *ret_second,
                        gboolean *ret_seconds)
{
    const char *text = *cursor;
    guint hour, minute, second = 0;
    gboolean seconds = FALSE;

    if (!list_scan_digits(&text, 1, 2, &hour) || *text++ != ':' || !list_scan_digits(&text, 2, 2, &minute))
        return FALSE;
    if (*text == ':') {
        text++;
        if (!list_scan_digits(&text, 2, 2, &second))
            return FALSE;
        seconds = TRUE;
        if (*text == '.') {
            for (text++; g_ascii_isdigit(*text);)
                text++;
        }
    }
    if (hour > 23 || minute > 59 || second > 60)
        return FALSE;
    *cursor = text;
    *ret_hour = hour;
    *ret_minute = minute;
    *ret_second = second;
    *ret_seconds = seconds;
    return TRUE;
}

static guint days_of_month(guint year, guint month)
{
    static const guint8 days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    if (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))
        return 29;
    return days[month - 1];
}

/* Days since 1970-01-01 in the Gregorian calendar; the year begins in March, so that a leap day is its last. */
static gint64 days_since_1970(guint year, guint month, guint day)
{
    gint64 y = (gint64)year - (month <= 2 ? 1 : 0);
    gint64 era = (y >= 0 ? y : y - 399) / 400;
    gint64 year_of_era = y - era * 400;
    gint64 day_of_year = (153 * ((gint64)month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static gboolean time_in_year(const ListTime *time, guint year, const ListClock *clock, gint64 *ret_seconds)
{
    gint64 local;

    if (year < 1 || year > 9999 || time->month < 1 || time->month > 12 || time->day < 1 ||
        time->day > days_of_month(year, time->month))
        return FALSE;
    local = days_since_1970(year, time->month, time->day) * DAY + time->hour * 3600 + time->minute * 60 + time->second;
    if (time->has_offset) {
        local -= time->offset;
    } else if (clock->zone != NULL) {
        gint interval = g_time_zone_adjust_time(clock->zone, G_TIME_TYPE_STANDARD, &local);

        local -= g_time_zone_get_offset(clock->zone, interval);
    }
    *ret_seconds = local;
    return TRUE;
}

void list_time_apply(const ListTime *time, const ListClock *clock, FtpAttr *attr)
{
    gint64 seconds = 0;
    gboolean found = FALSE;

    if (time->year != 0) {
        found = time_in_year(time, time->year, clock, &seconds);
    } else {
        /* The latest year in which this date exists and is at most a day ahead: a 29 February may be 8 years ago. The
         * estimate of the current year is made too high rather than too low. */
        gint64 latest = 1970 + clock->now / 31556952 + 2;

        for (gint64 year = latest; !found && year > latest - 14 && year > 0; year--) {
            found = time_in_year(time, (guint)year, clock, &seconds) && seconds <= clock->now + DAY;
        }
    }
    if (!found)
        return;
    attr->mtime = seconds;
    attr->mtime_precision = time->precision;
    attr->has |= FTP_HAS_MTIME;
}
