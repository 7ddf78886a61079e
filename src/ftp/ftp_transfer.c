/* SPDX-License-Identifier: MIT */
#include "ftp_transfer.h"

#include "ftp_session.h"

struct FtpTransfer {
    gint refs; /* atomic */
    gint cut;
    gint wanted;
    GMutex func_lock; /* guards the next two; held while the function runs, so that it is over once it was unset */
    void (*wanted_func)(gpointer data);
    gpointer wanted_data;
    GMutex lock;
    FtpSession *session; /* under the lock */
};

FtpTransfer *ftp_transfer_new(void)
{
    FtpTransfer *transfer = g_new0(FtpTransfer, 1);
    transfer->refs = 1;
    g_mutex_init(&transfer->lock);
    g_mutex_init(&transfer->func_lock);
    return transfer;
}

FtpTransfer *ftp_transfer_ref(FtpTransfer *transfer)
{
    g_atomic_int_inc(&transfer->refs);
    return transfer;
}

void ftp_transfer_unref(FtpTransfer *transfer)
{
    if (!transfer || !g_atomic_int_dec_and_test(&transfer->refs))
        return;
    g_mutex_clear(&transfer->lock);
    g_mutex_clear(&transfer->func_lock);
    g_free(transfer);
}

void ftp_transfer_cut(FtpTransfer *transfer)
{
    g_atomic_int_set(&transfer->cut, TRUE);
    g_mutex_lock(&transfer->lock);
    if (transfer->session)
        ftp_session_wake(transfer->session);
    g_mutex_unlock(&transfer->lock);
}

gboolean ftp_transfer_is_cut(const FtpTransfer *transfer)
{
    return transfer && g_atomic_int_get(&transfer->cut);
}

gboolean ftp_transfer_wanted(const FtpTransfer *transfer)
{
    return g_atomic_int_get(&transfer->wanted);
}

void ftp_transfer_set_wanted_func(FtpTransfer *transfer, void (*func)(gpointer data), gpointer data)
{
    g_mutex_lock(&transfer->func_lock);
    transfer->wanted_data = data;
    transfer->wanted_func = func;
    g_mutex_unlock(&transfer->func_lock);
}

void ftp_transfer_want(FtpTransfer *transfer)
{
    if (!g_atomic_int_compare_and_exchange(&transfer->wanted, FALSE, TRUE))
        return;
    g_mutex_lock(&transfer->func_lock);
    if (transfer->wanted_func)
        transfer->wanted_func(transfer->wanted_data);
    g_mutex_unlock(&transfer->func_lock);
}

void ftp_transfer_unwant(FtpTransfer *transfer)
{
    g_atomic_int_set(&transfer->wanted, FALSE);
}

void ftp_transfer_bind(FtpTransfer *transfer, FtpSession *session)
{
    g_mutex_lock(&transfer->lock);
    transfer->session = session;
    g_mutex_unlock(&transfer->lock);
}
