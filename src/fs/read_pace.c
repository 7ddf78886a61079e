/* SPDX-License-Identifier: MIT */
/*
 * Time is cut into periods. A reader is starved when reads were waiting for most of a period and the bytes did not come
 * as fast as a machine can take them anyway. One more stream is worth a try once the first is at its best, or, on a
 * long wire, where a connection takes a second to get there, at once. What one stream can do is taken from its best
 * period; several streams together come in bursts (what was fetched ahead is taken at once), so they are judged by all
 * that they did. The first stream is at its slowest when it begins, so once the others have shown what they can do, it
 * is alone for a while.
 */
#include "read_pace.h"

#define PERIOD       (G_USEC_PER_SEC * 3 / 20)
#define STARVED      0.6                  /* share of a period */
#define FAST         50.0                 /* bytes per µs: here the processor is the limit, and one stream is enough */
#define FAR          (G_USEC_PER_SEC / 5) /* four or five round trips: from the command to the first byte */
#define GROWING      1.3
#define JUDGE_BYTES  ((gint64)48 * 1024 * 1024)
#define JUDGE_TIME   (2 * G_USEC_PER_SEC)
#define CONTROL_TIME G_USEC_PER_SEC
#define WORTH        1.15 /* what several streams must be better by */

static void start(ReadPace *pace, gint64 now)
{
    pace->began = now;
    pace->waited = 0;
    pace->bytes = 0;
    pace->least = G_MAXUINT;
    pace->most = 0;
}

void read_pace_begin(ReadPace *pace, gint64 now)
{
    if (pace->waiting++ > 0)
        return;
    if (pace->last == 0 || now - pace->last > PERIOD) { /* the reader has done something else in between */
        start(pace, now);
        pace->starved = pace->steady = FALSE;
        pace->rate = 0;
    }
    pace->since = now;
}

static void judge(ReadPace *pace, gint64 period)
{
    double rate = (double)pace->bytes / (double)period;
    pace->starved = (double)pace->waited >= STARVED * (double)period && rate < FAST;
    pace->steady = pace->rate > 0 && rate < GROWING * pace->rate;
    pace->rate = rate;
    if (pace->most <= 1) {
        pace->alone = MAX(pace->alone, rate);
        pace->time_control += pace->control ? period : 0;
        if (!pace->control || pace->time_control < CONTROL_TIME)
            return;
        pace->control = FALSE;
        pace->settled = TRUE;
        pace->useless = (double)pace->bytes_together < WORTH * pace->alone * (double)pace->time_together;
    } else if (pace->least > 1 && !pace->settled) {
        pace->bytes_together += pace->bytes;
        pace->time_together += period;
        pace->control = pace->bytes_together >= JUDGE_BYTES && pace->time_together >= JUDGE_TIME;
    }
}

void read_pace_end(ReadPace *pace, gint64 now, gsize bytes, guint streams)
{
    pace->far = pace->far || now - pace->since >= FAR;
    pace->waited += now - pace->since;
    pace->since = now;
    pace->waiting--;
    pace->last = now;
    pace->bytes += (gint64)bytes;
    pace->least = MIN(pace->least, streams);
    pace->most = MAX(pace->most, streams);
    if (now - pace->began < PERIOD)
        return;
    judge(pace, now - pace->began);
    start(pace, now);
}

gboolean read_pace_wants_stream(const ReadPace *pace)
{
    return pace->starved && (pace->far || pace->steady) && !pace->control && !pace->useless;
}
