/* SPDX-License-Identifier: MIT */
#include "ftp_records.h"

#define HEADER_SIZE      5
#define APPLICATION_DATA 23
#define OVERHEAD_MAX     64

void ftp_records_begin(FtpRecords *records)
{
    records->records = records->lines = 0;
    records->record_bytes = records->line_bytes = 0;
}

void ftp_records_seen(FtpRecords *records, const char *bytes, gsize size)
{
    const guint8 *header = (const guint8 *)bytes;

    if (size != HEADER_SIZE || header[0] != APPLICATION_DATA || header[1] != 3)
        return;
    records->records++;
    records->record_bytes += (guint64)header[3] << 8 | header[4];
}

static void learn(FtpRecords *records)
{
    guint64 overhead = records->record_bytes - records->line_bytes;

    if (records->record_bytes <= records->line_bytes || overhead > OVERHEAD_MAX)
        return;
    if (records->known && records->overhead != overhead)
        records->varies = TRUE;
    records->known = TRUE;
    records->overhead = (guint)overhead;
}

void ftp_records_line(FtpRecords *records, gsize size, gboolean last)
{
    records->lines++;
    records->line_bytes += size;
    if (last && records->lines == 1 && records->records == 1)
        learn(records);
}

FtpStep ftp_records_step(const FtpRecords *records)
{
    if (!records->known || records->varies)
        return FTP_STEP_UNKNOWN;
    return records->record_bytes == records->line_bytes + (guint64)records->records * records->overhead ? FTP_STEP_IN
                                                                                                        : FTP_STEP_OUT;
}
