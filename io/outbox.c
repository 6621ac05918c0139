/* The outbox's blocks: filled by the shard, written by the helper, retried by poll. */
#include "io/outbox.h"

#include <string.h>

#include "base/assert.h"

static const uint64_t RETRY_NS_MIN = 10000000;   /* 10 ms */
static const uint64_t RETRY_NS_MAX = 1000000000; /* 1 s */
static const uint64_t LATER_NS = 20000000;       /* 20 ms */

static struct tg_outbox_block *block_at(struct tg_outbox *outbox, uint64_t number)
{
    return &outbox->blocks[number % TG_OUTBOX_BLOCKS];
}

static bool may_fill(const struct tg_outbox *outbox) { return outbox->fill - outbox->first < TG_OUTBOX_BLOCKS; }

uint32_t tg_outbox_json_bytes_max(const struct tg_schema *schema)
{
    enum { ESCAPE = 6, NUMBER = 64, HEAD = 64 }; /* a control byte becomes six characters */
    uint64_t bytes = HEAD;
    for (uint32_t i = 0; i < schema->column_count; i++) {
        const struct tg_column *column = &schema->columns[i];
        bytes += ESCAPE * strlen(column->name) + 4;
        switch (column->type) {
        case TG_TYPE_TEXT:
        case TG_TYPE_JSON:
            bytes += (uint64_t)ESCAPE * (column->text_bytes_max != 0 ? column->text_bytes_max : TG_TEXT_BYTES_MAX) + 2;
            break;
        case TG_TYPE_ENUM:
            for (uint32_t value = 0; value < column->enum_count; value++) {
                bytes += ESCAPE * strlen(column->enum_values[value]) + 2; /* the sum bounds the longest */
            }
            break;
        default: bytes += NUMBER; break;
        }
    }
    TG_ASSERT(bytes < UINT32_MAX / 2);
    return (uint32_t)bytes;
}

static uint32_t block_capacity(const struct tg_outbox_config *config)
{
    return TG_OUTBOX_BLOCK_BYTES + config->row_bytes_max;
}

size_t tg_outbox_bytes(const struct tg_outbox_config *config)
{
    return TG_OUTBOX_BLOCKS * ((size_t)block_capacity(config) + 64);
}

/* Make block `fill` the one to write to, if it is free. */
static void fill_start(struct tg_outbox *outbox)
{
    outbox->row_start = 0;
    outbox->filling_since_ns = 0;
    if (!may_fill(outbox)) { return; }
    struct tg_outbox_block *block = block_at(outbox, outbox->fill);
    block->used = 0;
    block->moved = 0;
    block->sync = false;
    block->rows = 0;
    block->arrival_count = 0;
    outbox->writer = (struct tg_writer){.data = block->data, .capacity = outbox->capacity};
}

/* The block being filled gets no more rows. */
static void fill_close(struct tg_outbox *outbox, bool sync)
{
    TG_ASSERT(may_fill(outbox));
    struct tg_outbox_block *block = block_at(outbox, outbox->fill);
    block->used = outbox->writer.used;
    block->sync = sync;
    block->tag = outbox->tag;
    outbox->fill++;
    fill_start(outbox);
}

static void acknowledge(struct tg_outbox *outbox, struct tg_outbox_block *block)
{
    const uint64_t now_ns = tg_clock_now_ns(&outbox->clock);
    for (uint32_t i = 0; i < block->arrival_count && outbox->latency != NULL; i++) {
        const struct tg_outbox_arrival *arrival = &block->arrivals[i];
        if (arrival->arrived_ns == 0) { continue; }
        const uint64_t taken_ns = now_ns > arrival->arrived_ns ? now_ns - arrival->arrived_ns : 0;
        tg_histogram_record(outbox->latency, taken_ns, arrival->rows);
    }
    const bool was_blocked = !may_fill(outbox);
    outbox->stats.rows_written += block->rows;
    outbox->unsynced = outbox->config.sync_on_flush && !block->sync;
    outbox->retry_at_ns = 0;
    outbox->retry_delay_ns = 0;
    outbox->first++;
    if (was_blocked) { fill_start(outbox); }
}

static void block_run(struct tg_task *task)
{
    struct tg_outbox_block *block = (struct tg_outbox_block *)(void *)task;
    const struct tg_outbox *outbox = task->owner; /* config and shared do not change while open */
    block->result = outbox->config.write(outbox->shared, block);
}

static void block_done(struct tg_task *task)
{
    struct tg_outbox_block *block = (struct tg_outbox_block *)(void *)task;
    struct tg_outbox *outbox = task->owner;
    TG_ASSERT(outbox->in_flight);
    outbox->in_flight = false;
    switch (block->result) {
    case TG_OUTBOX_WRITTEN: acknowledge(outbox, block); break;
    case TG_OUTBOX_AGAIN:
        outbox->stats.errors++;
        outbox->retry_delay_ns = outbox->retry_delay_ns == 0 ? RETRY_NS_MIN : 2 * outbox->retry_delay_ns;
        if (outbox->retry_delay_ns > RETRY_NS_MAX) { outbox->retry_delay_ns = RETRY_NS_MAX; }
        outbox->retry_at_ns = tg_clock_now_ns(&outbox->clock) + outbox->retry_delay_ns;
        break;
    case TG_OUTBOX_LATER: outbox->retry_at_ns = tg_clock_now_ns(&outbox->clock) + LATER_NS; break;
    case TG_OUTBOX_FAILED:
        outbox->stats.errors++;
        if (outbox->error.status == TG_OK) { outbox->error = block->error; }
        break;
    }
}

tg_status tg_outbox_open(struct tg_outbox *outbox, const struct tg_outbox_config *config, const struct tg_sink_env *env,
                         struct tg_error *err)
{
    outbox->config = *config;
    outbox->clock = env->clock;
    outbox->latency = env->latency;
    outbox->helper = env->helper;
    outbox->shared = env->shared;
    outbox->shard = env->shard;
    outbox->capacity = block_capacity(config);
    for (uint32_t i = 0; i < TG_OUTBOX_BLOCKS; i++) {
        struct tg_outbox_block *block = &outbox->blocks[i];
        block->task = (struct tg_task){.run = block_run, .done = block_done, .owner = outbox};
        block->data = tg_arena_alloc(env->arena, outbox->capacity, 64);
        if (block->data == NULL) {
            return tg_fail(err, TG1601, 0, "no address space for the blocks of sink %s (%zu bytes)", env->sink_name,
                           tg_outbox_bytes(config));
        }
    }
    fill_start(outbox);
    return TG_OK;
}

struct tg_writer *tg_outbox_begin(struct tg_outbox *outbox)
{
    if (TG_UNLIKELY(!may_fill(outbox) || outbox->error.status != TG_OK)) { return NULL; }
    outbox->row_start = outbox->writer.used;
    return &outbox->writer;
}

uint32_t tg_outbox_end(struct tg_outbox *outbox, uint64_t arrived_ns)
{
    struct tg_writer *writer = &outbox->writer;
    struct tg_outbox_block *block = block_at(outbox, outbox->fill);
    if (TG_UNLIKELY(writer->overflow)) {
        writer->overflow = false;
        writer->used = outbox->row_start;
        if (outbox->row_start == 0) {
            (void)tg_fail(&outbox->error, TG1502, 0, "one row is longer than %u bytes as text", outbox->capacity);
        } else {
            fill_close(outbox, false);
        }
        return 0;
    }
    block->rows++;
    outbox->stats.rows_taken++;
    struct tg_outbox_arrival *last = block->arrival_count != 0 ? &block->arrivals[block->arrival_count - 1] : NULL;
    if (last != NULL && (last->arrived_ns == arrived_ns || block->arrival_count == TG_OUTBOX_ARRIVALS_MAX)) {
        last->rows++; /* when there are too many, the newest are told apart no more and count as older than they are */
    } else {
        block->arrivals[block->arrival_count++] = (struct tg_outbox_arrival){.arrived_ns = arrived_ns, .rows = 1};
    }
    if (writer->used >= TG_OUTBOX_BLOCK_BYTES) { fill_close(outbox, false); }
    return 1;
}

uint32_t tg_outbox_poll(struct tg_outbox *outbox, uint64_t now_ns)
{
    if (outbox->error.status != TG_OK) { return 0; }
    uint32_t work = 0;
    if (may_fill(outbox) && outbox->writer.used != 0) {
        if (outbox->filling_since_ns == 0) { outbox->filling_since_ns = now_ns; }
        const bool due = now_ns - outbox->filling_since_ns >= outbox->config.flush_every_ns;
        if (due && outbox->first == outbox->fill) { /* behind a block that waits, rows may as well fill theirs */
            fill_close(outbox, false);
            work++;
        }
    }
    if (outbox->in_flight || outbox->first == outbox->fill || now_ns < outbox->retry_at_ns) { return work; }
    if (!tg_helper_submit(outbox->helper, outbox->shard, &block_at(outbox, outbox->first)->task)) { return work; }
    outbox->in_flight = true;
    outbox->stats.retries += outbox->retry_delay_ns != 0;
    return work + 1;
}

void tg_outbox_flush(struct tg_outbox *outbox)
{
    const bool sync = outbox->config.sync_on_flush;
    const uint64_t last = outbox->fill - 1; /* newest closed block, when there is one */
    const bool last_in_flight = outbox->in_flight && outbox->first == last;
    if (may_fill(outbox) && outbox->writer.used != 0) {
        fill_close(outbox, sync);
    } else if (sync && outbox->first != outbox->fill && !last_in_flight) {
        block_at(outbox, last)->sync = true;
    } else if (sync && (last_in_flight ? !block_at(outbox, last)->sync : outbox->unsynced)) {
        fill_close(outbox, true); /* empty: only the helper can sync */
    }
    outbox->target = outbox->fill;
}

bool tg_outbox_flushed(const struct tg_outbox *outbox) { return outbox->first >= outbox->target; }

tg_status tg_outbox_failure(const struct tg_outbox *outbox, struct tg_error *err)
{
    if (outbox->error.status != TG_OK && err != NULL && err->status == TG_OK) { *err = outbox->error; }
    return outbox->error.status;
}

void tg_outbox_stats(const struct tg_outbox *outbox, struct tg_sink_stats *out)
{
    *out = outbox->stats;
    out->pending = outbox->stats.rows_taken - outbox->stats.rows_written;
}

void tg_outbox_close(struct tg_outbox *outbox)
{
    while (outbox->in_flight) { (void)tg_helper_wait(outbox->helper, outbox->shard); }
    outbox->shared = NULL;
}
