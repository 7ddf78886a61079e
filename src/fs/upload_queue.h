/* SPDX-License-Identifier: MIT */
/*
 * What is to be done in the background, in the order of the time at which each is due, by a few threads. An item is in
 * the queue once, and never run by two threads at once. Threads are started when there is work and end when there is
 * none. Thread-safe; `run` is called without a lock.
 */
#pragma once

#include "base/bound.h"

typedef struct UploadQueue UploadQueue;

/* Does the work for `item`. May add it again. */
typedef void (*UploadQueueFunc)(gpointer item, gpointer data);

UploadQueue *upload_queue_new(guint threads, UploadQueueFunc run, gpointer data);

/* Nothing may be running any more: upload_queue_stop() first. */
void upload_queue_free(UploadQueue *queue);

/* Due in `delay` µs. One that waits already is due at the earlier of both times; one that is being run is run again. */
void upload_queue_add(UploadQueue *queue, gpointer item, gint64 delay);

/* It is not run any more (again, where it is being run now). */
void upload_queue_drop(UploadQueue *queue, gpointer item);

/* All that waits is due now. */
void upload_queue_hurry(UploadQueue *queue);

/* Waits until something was run to its end. 0, or what the bound says; -ENODATA when there is nothing to wait for. */
int upload_queue_wait(UploadQueue *queue, const Bound *bound);

/* Begins nothing more, and waits until what runs has ended (who runs it has to see to that). */
void upload_queue_stop(UploadQueue *queue);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(UploadQueue, upload_queue_free)
