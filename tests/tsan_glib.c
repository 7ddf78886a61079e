/* SPDX-License-Identifier: MIT */
/*
 * Shows GLib's locks to ThreadSanitizer. The distribution's GLib is not built for it and takes its mutexes by futex(2),
 * so without this every lock looks like none. Linked, with --wrap for each of these functions, only into builds with
 * -Db_sanitize=thread. Those are run with G_SLICE=always-malloc for the same reason.
 */
#include <glib.h>
#include <sanitizer/tsan_interface.h>

void __real_g_mutex_lock(GMutex *mutex);
gboolean __real_g_mutex_trylock(GMutex *mutex);
void __real_g_mutex_unlock(GMutex *mutex);
void __real_g_cond_wait(GCond *cond, GMutex *mutex);
gboolean __real_g_cond_wait_until(GCond *cond, GMutex *mutex, gint64 end);

void __wrap_g_mutex_lock(GMutex *mutex);
gboolean __wrap_g_mutex_trylock(GMutex *mutex);
void __wrap_g_mutex_unlock(GMutex *mutex);
void __wrap_g_cond_wait(GCond *cond, GMutex *mutex);
gboolean __wrap_g_cond_wait_until(GCond *cond, GMutex *mutex, gint64 end);

void __wrap_g_mutex_lock(GMutex *mutex)
{
    __real_g_mutex_lock(mutex);
    __tsan_acquire(mutex);
}

gboolean __wrap_g_mutex_trylock(GMutex *mutex)
{
    gboolean taken = __real_g_mutex_trylock(mutex);
    if (taken)
        __tsan_acquire(mutex);
    return taken;
}

void __wrap_g_mutex_unlock(GMutex *mutex)
{
    __tsan_release(mutex);
    __real_g_mutex_unlock(mutex);
}

void __wrap_g_cond_wait(GCond *cond, GMutex *mutex)
{
    __tsan_release(mutex);
    __real_g_cond_wait(cond, mutex);
    __tsan_acquire(mutex);
}

gboolean __wrap_g_cond_wait_until(GCond *cond, GMutex *mutex, gint64 end)
{
    __tsan_release(mutex);
    gboolean signalled = __real_g_cond_wait_until(cond, mutex, end);
    __tsan_acquire(mutex);
    return signalled;
}
