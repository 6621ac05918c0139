/* A window's row leaves when the job's clock has passed its end: by then every row of it has come, whichever way, so
 * that its count depends on the input alone. */
#include "engine/sim/window_rows.h"

#include "engine/turgo.h"

#define PASSED(F) F(timestamp, at)
#define WINDOW_ROWS(F) F(integer, rows) F(timestamp, end)
#define OPEN(F) F(deque_timestamp, seen)
#define WIDTH(F) F(duration, window)
TG_RECORD(passed, PASSED)
TG_RECORD(window_rows, WINDOW_ROWS)
TG_STATE(opened, OPEN, 1)
TG_PARAMS(width, WIDTH)

enum { END, TIMER_COUNT };

/* The last instant of the window that `at` is in; windows count from 1970. */
static tg_ts last_instant(tg_ts at, tg_us window)
{
    const int64_t into = at % window;
    return at - (into < 0 ? into + window : into) + window - 1;
}

static tg_result on_passed(tg_ctx *c, const passed *e, opened *s, const width *p)
{
    if (!tg_deque_insert(c, &s->seen, e->at)) { return tg_state_full(c); }
    tg_timer_arm(c, END, last_instant(tg_deque_first(&s->seen), p->window));
    return TG_ROW_OK;
}

static tg_result on_end(tg_ctx *c, uint32_t timer, opened *s, const width *p)
{
    const tg_ts end = tg_instant(c);
    const uint32_t before = tg_deque_count(&s->seen);
    (void)timer;
    tg_deque_drop_until(&s->seen, end);
    tg_emit(c, window_rows, .rows = (int32_t)(before - tg_deque_count(&s->seen)), .end = end);
    if (tg_deque_count(&s->seen) == 0) {
        tg_state_forget(c);
    } else {
        tg_timer_arm(c, END, last_instant(tg_deque_first(&s->seen), p->window));
    }
    return TG_ROW_OK;
}

TG_OPERATOR(sim_window_rows, passed, opened, width, on_passed, on_end, .outputs = TG_OUTPUTS(TG_OUTPUT(window_rows)),
            .output_count = 1, .timer_count = TIMER_COUNT, .revision = TG_REVISION_EVENT_TIME, .may_forget = true);
