/* SPDX-License-Identifier: MIT */
/*
 * Times of FTP are seconds at best, so a file that changes twice within one second shows the same time for both. Bytes
 * are therefore believed to be those of a time only when they were fetched RECENT seconds after it (as git does with
 * its index). The times of LIST are minutes or days, and of a time zone that the server does not tell; they are
 * believed when they lie a day back, more than any zone is off.
 */
#include "file_same.h"

#define RECENT 2
#define DAY    86400

static gint64 end_of(const FtpAttr *attr)
{
    return attr->mtime + MAX(attr->mtime_precision, 1);
}

static gboolean is_settled(const FtpAttr *attr, gint64 then)
{
    return attr->mtime_precision <= 1 ? then - attr->mtime > RECENT : then - end_of(attr) > DAY;
}

gboolean file_is_other(const FtpAttr *was, const FtpAttr *is)
{
    if (was->size != is->size)
        return TRUE;
    return (was->has & is->has & FTP_HAS_MTIME) != 0 && (was->mtime >= end_of(is) || is->mtime >= end_of(was));
}

gboolean file_is_unchanged(const FtpAttr *was, gint64 then, const FtpAttr *is)
{
    guint8 both = FTP_HAS_SIZE | FTP_HAS_MTIME;

    return (was->has & is->has & both) == both && !file_is_other(was, is) && is_settled(was, then) &&
           is_settled(is, then);
}
