/* SPDX-License-Identifier: MIT */
/*
 * The conversion goes character by character, so that it can promise more than iconv(3) does: each is the other's
 * inverse.
 *
 * To ours: at each position the shortest run of bytes that is one character is taken, and only if the character
 * converts back to exactly these bytes. If it does not (a byte that is no character, one of two codes for one
 * character, a character of the escape range itself), the first byte of the run is escaped, and the conversion goes on
 * with the next one. So the pieces, put together again, are always the bytes that came.
 *
 * To the server's: the pieces are put together. Two of them may join into a run that reads differently ("escaped lead
 * byte" + "letter" typed by a person), or an escape may hide a '/'; so the result is converted once more and must give
 * the name that was asked for. What does not, does not exist in the server's charset.
 *
 * Bytes that are a character on their own (all of them in ISO-8859 and the Windows code pages, ASCII in the others)
 * come from tables made at the start, which need no lock. An iconv descriptor holds state and can't be shared: the two
 * for the rest are used under a lock, and reset for each character, which also keeps charsets whose decoder waits for
 * a combining character (CP1258) deterministic. Charsets that shift state by escape sequences, and those that are not
 * a superset of the letters and '/', are refused: a name in them can't be cut at '/'.
 */
#include "base/name_codec.h"

#include <errno.h>
#include <string.h>

#define ESCAPE_FIRST  0xF700
#define ESCAPE_LAST   0xF7FF
#define CHARACTER_MAX 4 /* bytes of one character: GB18030, EUC-TW */
#define NOT_ALONE     0 /* in `alone`: no character by itself, or not one that comes back */
#define BUFFER_SIZE   32

struct NameCodec {
    gboolean identity;
    gunichar alone[256]; /* the character that the byte is, or NOT_ALONE */
    gboolean lead[256];  /* the byte may begin a longer character */
    GHashTable *bytes;   /* gunichar -> byte, the inverse of `alone`; never changed after new */
    GMutex lock;         /* for the two descriptors */
    GIConv decoder;      /* server's to UTF-8 */
    GIConv encoder;      /* UTF-8 to server's */
};

/* Converts one whole piece from the initial state. Returns the number of bytes written to `out` (BUFFER_SIZE), or
 * -EINVAL when the piece is the beginning of a character, -EILSEQ when it can't be converted exactly. */
static int convert(GIConv descriptor, const char *piece, gsize size, char *out)
{
    char in_copy[CHARACTER_MAX + 4]; /* iconv's interface lacks a const */
    if (size > sizeof in_copy)
        return -EILSEQ;
    memcpy(in_copy, piece, size);
    char *in = in_copy;
    char *to = out;
    gsize in_left = size;
    gsize out_left = BUFFER_SIZE;
    g_iconv(descriptor, NULL, NULL, NULL, NULL);
    gsize n = g_iconv(descriptor, &in, &in_left, &to, &out_left);
    if (n == (gsize)-1)
        return errno == EINVAL ? -EINVAL : -EILSEQ;
    if (n != 0 || in_left != 0) /* an approximation is no conversion */
        return -EILSEQ;
    if (g_iconv(descriptor, NULL, NULL, &to, &out_left) == (gsize)-1)
        return -EILSEQ;
    return (int)(BUFFER_SIZE - out_left);
}

static int encode_locked(const NameCodec *codec, gunichar c, char *out)
{
    char utf8[6];
    int size = g_unichar_to_utf8(c, utf8);
    return convert(codec->encoder, utf8, (gsize)size, out);
}

/* Exactly one character that is made of these bytes and converts back to them: 0, -EINVAL, -EILSEQ as convert(). */
static int decode_locked(const NameCodec *codec, const char *bytes, gsize size, gunichar *ret)
{
    char utf8[BUFFER_SIZE];
    int n = convert(codec->decoder, bytes, size, utf8);
    if (n < 0)
        return n;
    if (n == 0)
        return -EILSEQ;
    gunichar c = g_utf8_get_char_validated(utf8, n);
    if (c == 0 || c == (gunichar)-1 || c == (gunichar)-2 || g_unichar_to_utf8(c, NULL) != n)
        return -EILSEQ;
    if (c >= ESCAPE_FIRST && c <= ESCAPE_LAST)
        return -EILSEQ;
    char back[BUFFER_SIZE];
    int back_size = encode_locked(codec, c, back);
    if (back_size < 0 || (gsize)back_size != size || memcmp(back, bytes, size) != 0)
        return -EILSEQ;
    *ret = c;
    return 0;
}

static gboolean must_be_itself(int byte)
{
    return g_ascii_isalnum(byte) || byte == '/' || byte == '.';
}

/* FALSE when the charset can't be used for names. */
static gboolean fill_tables(NameCodec *codec)
{
    for (int byte = 1; byte < 256; byte++) {
        char text = (char)byte;
        gunichar c = NOT_ALONE;
        int r = decode_locked(codec, &text, 1, &c);
        if (r == 0) {
            codec->alone[byte] = c;
            g_hash_table_insert(codec->bytes, GUINT_TO_POINTER(c), GINT_TO_POINTER(byte));
        }
        codec->lead[byte] = r == -EINVAL;
        if (byte < 0x80 && codec->lead[byte]) /* a shift sequence, or units of more than a byte */
            return FALSE;
        if (must_be_itself(byte) && codec->alone[byte] != (gunichar)byte)
            return FALSE;
    }
    return TRUE;
}

static gboolean is_utf8(const char *charset)
{
    return g_ascii_strcasecmp(charset, "UTF-8") == 0 || g_ascii_strcasecmp(charset, "UTF8") == 0;
}

NameCodec *name_codec_new(const char *charset, GError **error)
{
    g_autoptr(NameCodec) codec = g_new0(NameCodec, 1);
    g_mutex_init(&codec->lock);
    codec->decoder = codec->encoder = (GIConv)-1;
    codec->bytes = g_hash_table_new(NULL, NULL);
    codec->identity = charset == NULL || is_utf8(charset);
    if (codec->identity)
        return g_steal_pointer(&codec);

    /* A suffix such as //TRANSLIT would allow conversions that do not come back. */
    if (charset[0] != '\0' && strchr(charset, '/') == NULL) {
        codec->decoder = g_iconv_open("UTF-8", charset);
        codec->encoder = g_iconv_open(charset, "UTF-8");
    }
    if (codec->decoder == (GIConv)-1 || codec->encoder == (GIConv)-1) {
        g_set_error(error, G_CONVERT_ERROR, G_CONVERT_ERROR_NO_CONVERSION,
                    "the charset \"%s\" is not known; iconv -l lists those that are", charset);
        return NULL;
    }
    if (!fill_tables(codec)) {
        g_set_error(error, G_CONVERT_ERROR, G_CONVERT_ERROR_NO_CONVERSION,
                    "the charset \"%s\" can't be used for file names: it is no superset of ASCII", charset);
        return NULL;
    }
    return g_steal_pointer(&codec);
}

void name_codec_free(NameCodec *codec)
{
    if (codec == NULL)
        return;
    if (codec->decoder != (GIConv)-1)
        g_iconv_close(codec->decoder);
    if (codec->encoder != (GIConv)-1)
        g_iconv_close(codec->encoder);
    g_hash_table_unref(codec->bytes);
    g_mutex_clear(&codec->lock);
    g_free(codec);
}

/* The length of the character of more than one byte at `bytes`, of which `left` are there; 0 when there is none. */
static gsize decode_long(const NameCodec *codec, const char *bytes, gsize left, gunichar *ret)
{
    GMutex *lock = (GMutex *)&codec->lock;
    gsize length = 0;
    g_mutex_lock(lock);
    for (gsize size = 2; size <= MIN(left, CHARACTER_MAX); size++) {
        int r = decode_locked(codec, bytes, size, ret);
        if (r == 0)
            length = size;
        if (r != -EINVAL)
            break;
    }
    g_mutex_unlock(lock);
    return length;
}

char *name_codec_to_local(const NameCodec *codec, const char *remote)
{
    if (codec->identity)
        return g_strdup(remote);
    gsize size = strlen(remote);
    GString *local = g_string_sized_new(size + size / 2 + 1);
    gsize i = 0;
    while (i < size) {
        guint8 byte = (guint8)remote[i];
        gunichar c = codec->alone[byte];
        gsize length = c != NOT_ALONE ? 1 : 0;
        if (codec->lead[byte])
            length = decode_long(codec, remote + i, size - i, &c);
        if (length == 0) {
            c = ESCAPE_FIRST + byte;
            length = 1;
        }
        g_string_append_unichar(local, c);
        i += length;
    }
    return g_string_free(local, FALSE);
}

/* FALSE when the character does not exist in the server's charset. */
static gboolean append_remote(const NameCodec *codec, gunichar c, GString *remote)
{
    if (c > ESCAPE_FIRST && c <= ESCAPE_LAST) {
        g_string_append_c(remote, (char)(c - ESCAPE_FIRST));
        return TRUE;
    }
    gpointer byte = g_hash_table_lookup(codec->bytes, GUINT_TO_POINTER(c));
    if (byte != NULL) {
        g_string_append_c(remote, (char)GPOINTER_TO_INT(byte));
        return TRUE;
    }
    GMutex *lock = (GMutex *)&codec->lock;
    char bytes[BUFFER_SIZE];
    g_mutex_lock(lock);
    int size = encode_locked(codec, c, bytes);
    g_mutex_unlock(lock);
    if (size <= 0 || memchr(bytes, '\0', (gsize)size) != NULL)
        return FALSE;
    g_string_append_len(remote, bytes, size);
    return TRUE;
}

char *name_codec_to_remote(const NameCodec *codec, const char *local)
{
    if (codec->identity)
        return g_strdup(local);
    if (!g_utf8_validate(local, -1, NULL))
        return NULL;
    g_autoptr(GString) remote = g_string_sized_new(strlen(local) + 1);
    for (const char *at = local; *at != '\0'; at = g_utf8_next_char(at)) {
        if (!append_remote(codec, g_utf8_get_char(at), remote))
            return NULL;
    }
    g_autofree char *back = name_codec_to_local(codec, remote->str);
    if (strcmp(back, local) != 0)
        return NULL;
    return g_strdup(remote->str);
}
