/* Operating errors: a negative tg_status to branch on, and a caller-owned tg_error that carries the user's text.
 * Programmer errors are asserts (assert.h); expected outcomes (full, empty, late) are counts, bools or enums. */
#ifndef TG_BASE_STATUS_H
#define TG_BASE_STATUS_H

#include <stdint.h>

#include "base/attributes.h"
#include "base/codes.h"

/* What the caller can do about it. Each has one exit code of sysexits.h. */
typedef enum tg_status {
    TG_OK = 0,
    TG_ERR_USAGE = -1,       /* 64: wrong command line */
    TG_ERR_DATA = -2,        /* 65: a poison record with on_error: stop */
    TG_ERR_INPUT = -3,       /* 66: an input file is missing or unreadable */
    TG_ERR_UNAVAILABLE = -4, /* 69: a peer is down past its deadline, or the thing asked of it does not exist */
    TG_ERR_INTERNAL = -5,    /* 70: a bug of ours */
    TG_ERR_IO = -6,          /* 74: the operating system refused a read or a write */
    TG_ERR_LOCKED = -7,      /* 75: held by another process; try again */
    TG_ERR_CONFIG = -8,      /* 78: the job file or its environment is wrong */
} tg_status;

enum { TG_ERROR_TEXT_BYTES = 1024 };

struct tg_error {
    tg_status status;
    enum tg_code code; /* the number `turgo explain` knows, e.g. 1203; 0 when there is none */
    int os_errno;      /* 0 when the operating system was not involved */
    char text[TG_ERROR_TEXT_BYTES];
};

/* Fill *err (may be NULL) and return the status of `code` (codes.h). When os_errno is not 0 its text is appended.
 * The first failure wins: a filled *err is left alone.  @any */
TG_COLD tg_status tg_fail(struct tg_error *err, enum tg_code code, int os_errno, const char *fmt, ...) TG_PRINTF(4, 5);

/* The exit code of sysexits.h for `status`; 0 for TG_OK.  @any */
int tg_exit_code(tg_status status);

/* Title of a code ("unknown key"), or NULL for a number that is none.  @any */
const char *tg_code_title(enum tg_code code);

#endif
