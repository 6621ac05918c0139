/* Operator purchase_count: transactions of a user in the last `window` up to the newest one, again when the user has
 * been silent for `idle`, and then whenever the count falls. See docs/jobs/purchase_count.md. */
#include "engine/turgo.h"
#include "jobs/jobs.h"

#define TX(F) F(timestamp, at)
#define COUNT(F) F(integer, n) F(timestamp, at) F(boolean, timeout)
#define RECENT(F) F(timestamp, latest) F(deque_timestamp, seen)
#define LIMITS(F) F(duration, window) F(duration, idle)
TG_RECORD(tx, TX)
TG_RECORD(count, COUNT)
TG_STATE(recent, RECENT, 1)
TG_PARAMS(limits, LIMITS)

enum { IDLE, TIMER_COUNT };

static tg_result on_tx(tg_ctx *c, const tx *e, recent *s, const limits *p)
{
    const tg_ts latest = s->latest > e->at ? s->latest : e->at;
    if (e->at <= latest - p->window) { return TG_ROW_IGNORED; } /* left open: exactly `window` ago is out */
    if (!tg_deque_insert(c, &s->seen, e->at)) { return tg_state_full(c); }
    s->latest = latest;
    tg_deque_drop_until(&s->seen, latest - p->window);
    tg_emit(c, count, .n = (int32_t)tg_deque_count(&s->seen), .at = latest, .timeout = false);
    tg_timer_arm(c, IDLE, latest + p->idle);
    return TG_ROW_OK;
}

static tg_result on_idle(tg_ctx *c, uint32_t timer, recent *s, const limits *p)
{
    const tg_ts now = tg_instant(c);
    (void)timer;
    tg_deque_drop_until(&s->seen, now - p->window);
    tg_emit(c, count, .n = (int32_t)tg_deque_count(&s->seen), .at = now, .timeout = true);
    if (tg_deque_count(&s->seen) == 0) {
        tg_state_forget(c); /* its row stays in the table; the next transaction starts at 1 */
    } else {
        tg_timer_arm(c, IDLE, tg_deque_first(&s->seen) + p->window);
    }
    return TG_ROW_OK;
}

static const char *check(const void *params, tg_us watermark_delay)
{
    const limits *p = params;
    (void)watermark_delay;
    if (p->window <= 0) { return "window must be longer than 0"; }
    if (p->idle < 0) { return "idle must not be negative"; }
    return NULL;
}

static tg_us horizon(const void *params, tg_us watermark_delay)
{
    return ((const limits *)params)->window + watermark_delay;
}

TG_OPERATOR(purchase_count, tx, recent, limits, on_tx, on_idle, .outputs = TG_OUTPUTS(TG_OUTPUT(count)),
            .output_count = 1, .timer_count = TIMER_COUNT, .revision = TG_REVISION_EVENT_TIME, .may_forget = true,
            .check = check, .horizon = horizon);
