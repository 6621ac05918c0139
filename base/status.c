/* Codes, statuses and the one way to fill a tg_error. */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct code_row {
    enum tg_code code;
    tg_status status;
    const char *title;
};

#define CODE_ROW(number, status, title) {TG##number, status, title},
static const struct code_row code_rows[] = {TG_CODES(CODE_ROW)};

static const struct code_row *code_find(enum tg_code code)
{
    for (size_t i = 0; i < sizeof code_rows / sizeof code_rows[0]; i++) {
        if (code_rows[i].code == code) { return &code_rows[i]; }
    }
    return NULL;
}

tg_status tg_fail(struct tg_error *err, enum tg_code code, int os_errno, const char *fmt, ...)
{
    const struct code_row *row = code_find(code);
    const tg_status status = row != NULL && row->status != TG_OK ? row->status : TG_ERR_INTERNAL;
    if (err == NULL || err->status != TG_OK) { return status; }
    err->status = status;
    err->code = code;
    err->os_errno = os_errno;
    va_list args;
    va_start(args, fmt);
    int used = vsnprintf(err->text, sizeof err->text, fmt, args);
    va_end(args);
    if (os_errno != 0 && used >= 0 && (size_t)used < sizeof err->text) {
        (void)snprintf(err->text + used, sizeof err->text - (size_t)used, ": %s", strerror(os_errno));
    }
    return status;
}

int tg_exit_code(tg_status status)
{
    switch (status) {
    case TG_OK: return 0;
    case TG_ERR_USAGE: return 64;
    case TG_ERR_DATA: return 65;
    case TG_ERR_INPUT: return 66;
    case TG_ERR_UNAVAILABLE: return 69;
    case TG_ERR_INTERNAL: return 70;
    case TG_ERR_IO: return 74;
    case TG_ERR_LOCKED: return 75;
    case TG_ERR_CONFIG: return 78;
    }
    return 70;
}

const char *tg_code_title(enum tg_code code)
{
    const struct code_row *row = code_find(code);
    return row != NULL ? row->title : NULL;
}
