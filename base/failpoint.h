/* Failpoints: named places on cold paths where a test can stop, kill or fail the process, so that each step of an
 * order that must survive a crash is cut through once. Switched off (always, outside tests) a place costs one predicted
 * branch on a global. The names are listed in base/failpoint_names.h; what is not listed cannot be armed, and code may
 * not use it (tools/tidy checks both ways).
 *
 *     int failed = TG_FAILPOINT("file.sync");             // 0, or an errno that the call after it might have had
 *     if (failed == 0) { failed = -ops->fdatasync(...); }
 *
 * Armed by TURGO_FAILPOINT=name:k:action[,name:k:action...]. k counts the visits of that name from 1; "3" is the third
 * one only, "3+" that one and all after it, "3-5" the third to the fifth. Actions:
 *     kill          SIGKILL to ourselves: nothing is written any more
 *     stop          SIGSTOP to ourselves; somebody sends SIGCONT
 *     error:NAME    the place reports EIO, ENOSPC, EINTR, EROFS, ENOMEM or EDQUOT
 *     delay:MS      the place takes so long; delay:100us for shorter ones */
#ifndef TG_BASE_FAILPOINT_H
#define TG_BASE_FAILPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

/* 0 = go on, else an errno the caller treats as its own call's. Not for hot paths.  @any */
#define TG_FAILPOINT(name) (TG_UNLIKELY(tg_failpoints_armed) ? tg_failpoint_visit(name) : 0)

enum { TG_FAILPOINT_PLANS_MAX = 32 };

/* True while anything is armed or watched; written only by the calls below.  @any */
extern bool tg_failpoints_armed;

/* What TG_FAILPOINT calls when something is armed. Asserts that the name is listed.  @any */
TG_COLD int tg_failpoint_visit(const char *name);

/* Arm what `text` says (see above), beside what is armed already; NULL or "" arms nothing. Errors: TG1000 for a name
 * that is not listed and for anything else that is wrong; nothing is armed then. Before there are threads.  @setup */
TG_MUST_USE tg_status tg_failpoint_arm(const char *text, struct tg_error *err);
/* From now on `visited` is asked at every visit (`count` from 1 for each name); what it returns is the place's result
 * unless an armed action has one. For tests and the simulator, in one thread. NULL = nobody.  @setup */
void tg_failpoint_watch(int (*visited)(void *self, const char *name, uint64_t count), void *self);
/* Disarm everything, watch nothing, count from 1 again.  @setup */
void tg_failpoint_reset(void);

/* Name `index` of the list, NULL behind the last one.  @any */
const char *tg_failpoint_name(uint32_t index);

#endif
