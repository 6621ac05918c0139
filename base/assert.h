/* Programmer errors: TG_ASSERT is on in release builds, TG_DCHECK only where TG_DEBUG is defined.
 * A failed check prints file, line and condition to stderr and aborts: state that broke an invariant must not be
 * written anywhere. */
#ifndef TG_BASE_ASSERT_H
#define TG_BASE_ASSERT_H

#include "base/attributes.h"

/* Print and abort.  @any */
TG_COLD _Noreturn void tg_assert_failed(const char *file, int line, const char *condition);

#define TG_ASSERT(condition) \
    do { \
        if (TG_UNLIKELY(!(condition))) { tg_assert_failed(__FILE__, __LINE__, #condition); } \
    } while (0)

#ifdef TG_DEBUG
#define TG_DCHECK(condition) TG_ASSERT(condition)
#else
#define TG_DCHECK(condition) ((void)sizeof(!(condition)))
#endif

#endif
