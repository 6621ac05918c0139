/* An outlet between cuts and flushes: what a cut waits for. */
#include <criterion/criterion.h>

#include "engine/outlet.h"

/* A sink that counts rows: `target` of them are to be acknowledged before it is flushed. */
struct counter {
    uint64_t taken;
    uint64_t written;
    uint64_t target;
    uint32_t settled;
};

static void counter_flush(void *state)
{
    struct counter *counter = state;
    counter->target = counter->taken;
}
static bool counter_flushed(const void *state)
{
    const struct counter *counter = state;
    return counter->written >= counter->target;
}
static void counter_settle(void *state) { ((struct counter *)state)->settled++; }

static const struct tg_sink_ops counting = {
    .flush = counter_flush, .flushed = counter_flushed, .cut = counter_flush, .settle = counter_settle};
static const struct tg_sink_ops visible_at_once = {.flush = counter_flush, .flushed = counter_flushed};

/* Rows behind the cut may wait for the end of its checkpoint, which would then wait for them. */
Test(outlet, a_flush_during_a_cut_does_not_make_the_cut_wait_for_rows_behind_it)
{
    struct counter counter = {.taken = 5};
    struct tg_outlet outlet = {.ops = &counting, .state = &counter};
    tg_outlet_cut(&outlet);
    counter.taken = 7; /* of the next epoch */
    cr_assert_not(tg_outlet_flush(&outlet));
    counter.written = 5;
    cr_assert(tg_outlet_cut_done(&outlet), "all rows before the cut are acknowledged");
    cr_assert_not(tg_outlet_flush(&outlet), "the others are not");
    counter.written = 7;
    cr_assert(tg_outlet_flush(&outlet));
}

Test(outlet, a_flush_that_finds_the_cut_done_flushes)
{
    struct counter counter = {.taken = 5};
    struct tg_outlet outlet = {.ops = &counting, .state = &counter};
    tg_outlet_cut(&outlet);
    counter.taken = 7;
    counter.written = 5;
    cr_assert_not(tg_outlet_flush(&outlet));
    cr_assert_eq(counter.target, 7);
    cr_assert(tg_outlet_cut_done(&outlet));
}

Test(outlet, only_sinks_that_commit_hear_of_the_end_of_a_checkpoint)
{
    struct counter counter = {0};
    struct tg_outlet outlet = {.ops = &counting, .state = &counter};
    tg_outlet_settle(&outlet);
    cr_assert_eq(counter.settled, 1);
    outlet.ops = &visible_at_once;
    tg_outlet_settle(&outlet);
    cr_assert_eq(counter.settled, 1);
}
