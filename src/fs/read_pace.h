/* SPDX-License-Identifier: MIT */
/*
 * Who waits for whom: whether a reader takes bytes faster than they come, and whether more streams than one make them
 * come faster. Pure, the time (µs, monotonic) is given; its owner's lock guards it.
 */
#pragma once

#include <glib.h>

typedef struct {
    guint waiting; /* reads that wait now */
    gint64 since;  /* when the first of them began */
    gint64 last;   /* when a read ended last; 0: never */

    /* the period that is being looked at */
    gint64 began;
    gint64 waited; /* of it, with at least one read waiting */
    gint64 bytes;
    guint least, most; /* streams in it */

    double rate;           /* of the period before this one, bytes per µs; 0: none */
    double alone;          /* the best that one stream did in a period */
    gint64 bytes_together; /* what several streams did, in all */
    gint64 time_together;

    gint64 time_control;

    gboolean far;     /* a read has waited as long as one does on a long wire */
    gboolean steady;  /* the rate does not grow by itself any more */
    gboolean starved; /* in the period before this one the reader waited most of the time */
    gboolean control; /* for a while one stream alone, to see what the others are worth */
    gboolean settled; /* that has been seen ... */
    gboolean useless; /* ... and several streams are no faster than one */
} ReadPace;

/* A read begins to wait. */
void read_pace_begin(ReadPace *pace, gint64 now);

/* A read has ended, with so many bytes; so many streams run. */
void read_pace_end(ReadPace *pace, gint64 now, gsize bytes, guint streams);

/* TRUE when one more stream is worth a try. */
gboolean read_pace_wants_stream(const ReadPace *pace);
