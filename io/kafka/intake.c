/* One call of the client's callback queue per poll. The callback copies the value, for a message lives no longer than
 * the callback; it ends the call with rd_kafka_yield, which puts the rest of the queue back in place.
 *
 * The fetch stall. librdkafka 2.0.2 decides before each fetch whether a partition's queue is above its limit. If all
 * are, the broker thread sleeps up to a second, and taking messages out of the queue does not wake it. Every thing sent
 * to the thread wakes it, and it then looks at the queues again. The lightest thing there is: setting the SASL
 * credentials the client already has, which sends every broker thread of the client a wake-up and nothing over the
 * wire. test_kafka_source.c measures it: a consumer slower than the broker takes 20,000 records in 2.05 s with gaps of
 * 0.93 s without this, in 0.24 s with gaps of 4 ms with it. (Versions from 2.2 look again by themselves.) */
#include "io/kafka/intake.h"

#include <stdlib.h>

#include "base/assert.h"

enum {
    ROOM_BYTES = 16384,    /* less than this left in the buffer: the batch ends */
    OVERSIZE_BYTES = 4096, /* kept of a record beyond TG_RECORD_BYTES_MAX */
    ROUSE_NS = 1000000,    /* at most one wake-up a millisecond */
    ROUSE_IDLE_NS = 20000000,
};

/* What one call of the callback queue fills. */
struct filling {
    struct tg_kafka_intake *intake;
    struct tg_kafka_partition *partition;
    struct tg_raw_batch *out;
};

/* ---- errors in the queue ----------------------------------------------------------------------------------------- */

static TG_COLD void take_error(struct tg_kafka_intake *intake, const struct tg_kafka_partition *partition,
                               const rd_kafka_message_t *message)
{
    const char *text = rd_kafka_message_errstr(message);
    struct tg_error *error = &intake->error;
    if (intake->status != TG_OK) { return; }
    if (tg_kafka_is_missing(message->err)) { /* to be made sure of: see source.c */
        intake->unsure = true;
        return;
    }
    switch ((int)message->err) {
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        intake->status =
            tg_fail(error, TG1205, 0,
                    "topic \"%s\" partition %u: offset %lld is no longer in the log\n  "
                    "records were deleted before the job read them (raise the topic's retention), or the topic "
                    "was created again. To begin anew: --fresh",
                    intake->topic, partition->number, (long long)partition->next);
        return;
    case RD_KAFKA_RESP_ERR__BAD_MSG:
    case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
    case RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        /* The client would go on behind the bad records; a job must not. */
        intake->status = tg_fail(error, TG1206, 0, "topic \"%s\" partition %u cannot be read at offset %lld: %s",
                                 intake->topic, partition->number, (long long)message->offset, text);
        return;
    default: break;
    }
    if (tg_kafka_is_transient(message->err)) {
        tg_kafka_client_waiting(intake->client, text);
        return;
    }
    intake->status = tg_fail(error, TG1206, 0, "topic \"%s\" partition %u: %s", intake->topic, partition->number, text);
}

/* ---- records ----------------------------------------------------------------------------------------------------- */

static int64_t record_time(const rd_kafka_message_t *message)
{
    rd_kafka_timestamp_type_t type;
    const int64_t ms = rd_kafka_message_timestamp(message, &type);
    return type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE || ms > INT64_MAX / 1000 ? TG_TS_MIN : ms * 1000;
}

static void hold(struct tg_kafka_partition *partition, const struct tg_slice *slice, const void *data)
{
    TG_ASSERT(partition->held == NULL);
    partition->held = malloc(slice->value_bytes);
    TG_ASSERT(partition->held != NULL); /* nowhere to put a record that cannot be had again */
    memcpy(partition->held, data, slice->value_bytes);
    partition->held_slice = *slice;
}

/* Copy the record and add its slice; false when the buffer has no room for it. */
static bool append(struct tg_kafka_intake *intake, struct tg_raw_batch *out, const struct tg_slice *slice,
                   const void *data)
{
    if (TG_UNLIKELY(tg_fill_room(&intake->fill) < slice->value_bytes)) {
        /* A batch lies in one buffer, so only an empty batch may change it. */
        if (out->count > 0 || !tg_fill_begin(&intake->fill, slice->value_bytes)) { return false; }
    }
    struct tg_slice *added = &out->slices[out->count++];
    *added = *slice;
    added->value = data == NULL ? NULL : tg_fill_append(&intake->fill, data, slice->value_bytes);
    return true;
}

static TG_HOT void on_message(rd_kafka_message_t *message, void *opaque)
{
    const struct filling *filling = opaque;
    struct tg_kafka_intake *intake = filling->intake;
    struct tg_kafka_partition *partition = filling->partition;
    struct tg_raw_batch *out = filling->out;

    if (TG_UNLIKELY(message->err != RD_KAFKA_RESP_ERR_NO_ERROR)) {
        if (message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            take_error(intake, partition, message);
        } else {
            /* Behind compacted records and transaction marks the end lies beyond the last record we saw. */
            if (message->offset > partition->next) { partition->next = message->offset; }
            if (message->offset > partition->high) { partition->high = message->offset; }
            partition->heard = message->offset;
            partition->at_end = true;
            out->flags |= TG_RAW_AT_END;
        }
        rd_kafka_yield(NULL);
        return;
    }
    if (TG_UNLIKELY(message->offset < partition->next)) {
        partition->fenced++;
        return;
    }
    partition->next = message->offset + 1;
    partition->at_end = false;
    if (TG_UNLIKELY(message->offset >= partition->end)) { /* written after the job began */
        rd_kafka_yield(NULL);
        return;
    }
    const bool oversize = message->len > TG_RECORD_BYTES_MAX;
    const struct tg_slice slice = {
        .offset = message->offset,
        .record_us = record_time(message),
        .value_bytes = oversize ? OVERSIZE_BYTES : (uint32_t)message->len,
        .oversize = oversize,
    };
    if (TG_UNLIKELY(!append(intake, out, &slice, message->payload))) {
        hold(partition, &slice, message->payload);
        rd_kafka_yield(NULL);
        return;
    }
    if (out->count == intake->poll_count_max || tg_fill_room(&intake->fill) < ROOM_BYTES ||
        partition->next >= partition->end) {
        rd_kafka_yield(NULL);
    }
}

/* The record that did not fit last time goes first; false = it still does not. */
static bool take_held(struct tg_kafka_intake *intake, struct tg_kafka_partition *partition, struct tg_raw_batch *out)
{
    if (!append(intake, out, &partition->held_slice, partition->held)) { return false; }
    free(partition->held);
    partition->held = NULL;
    return true;
}

/* ---- the stall --------------------------------------------------------------------------------------------------- */

static void rouse(struct tg_kafka_intake *intake, uint64_t now_ns)
{
    if (now_ns - intake->roused_ns < ROUSE_NS) { return; }
    intake->roused_ns = now_ns;
    intake->rouse_count++;
    rd_kafka_error_t *error = rd_kafka_sasl_set_credentials(intake->client->rk, intake->user, intake->password);
    if (error != NULL) { rd_kafka_error_destroy(error); } /* only NULL arguments are refused, and these are not */
}

/* A queue that came near its limit may have put the broker thread to sleep: once it is down to half, there is room, and
 * half a queue to live on until the next fetch arrives. Bytes are estimated from the last batch, so they count as near
 * from half the limit on; a needless wake-up costs less than a microsecond. */
static void watch_queue(struct tg_kafka_intake *intake, struct tg_kafka_partition *partition, uint64_t now_ns)
{
    const uint64_t count = rd_kafka_queue_length(partition->queue);
    const uint64_t bytes = count * partition->record_bytes;
    if (count >= intake->queue_messages || bytes >= intake->queue_bytes / 2) {
        partition->was_full = true;
    } else if (partition->was_full && count < intake->queue_messages / 2 && bytes < intake->queue_bytes / 4) {
        partition->was_full = false;
        rouse(intake, now_ns);
    }
}

void tg_kafka_intake_check(struct tg_kafka_intake *intake, const struct tg_kafka_partition *partition, uint64_t now_ns)
{
    if (partition->at_end || partition->next >= partition->high || now_ns - intake->roused_ns < ROUSE_IDLE_NS) {
        return;
    }
    if (rd_kafka_queue_length(partition->queue) == 0) { rouse(intake, now_ns); }
}

/* What the log has grown to is told once, not as long as it lies there: it need not become a record. A transaction that
 * is open, or was aborted, reaches beyond what can be read; of one that stays open for long only what it adds counts.
 * The client knows the log's length before it has the records, so there is no moment in which they are in neither. */
bool tg_kafka_intake_unread(struct tg_kafka_intake *intake, struct tg_kafka_partition *partition)
{
    int64_t low = 0;
    int64_t high = 0;
    if (intake->client->down) { /* nobody knows; and in a silent topic nothing would tell that the cluster is back */
        intake->unsure = true;
        return true;
    }
    (void)rd_kafka_get_watermark_offsets(intake->client->rk, intake->topic, (int32_t)partition->number, &low, &high);
    if (partition->high > high) { high = partition->high; }
    const bool grew = high > partition->heard;
    if (grew) { partition->heard = high; }
    return grew || partition->held != NULL || rd_kafka_queue_length(partition->queue) > 0;
}

/* Record size of a batch from its ends: enough for an estimate. */
static uint32_t average_bytes(const struct tg_raw_batch *batch)
{
    const struct tg_slice *first = &batch->slices[0];
    const struct tg_slice *last = &batch->slices[batch->count - 1];
    return first->value == NULL || last->value == NULL ? last->value_bytes
                                                       : (uint32_t)(last->value - first->value) / batch->count + 1;
}

/* ---- public ------------------------------------------------------------------------------------------------------ */

uint32_t tg_kafka_intake_poll(struct tg_kafka_intake *intake, struct tg_kafka_partition *partition,
                              struct tg_raw_batch *out, uint64_t now_ns)
{
    TG_DCHECK(out->count == 0 && out->flags == 0);
    if (partition->ended) { return 0; }
    if (partition->next < partition->end || partition->held != NULL) {
        /* Without room nothing is taken out of the queue: that is the back-pressure. */
        if (!tg_fill_begin(&intake->fill, ROOM_BYTES)) { return 0; }
        if (partition->held != NULL && !take_held(intake, partition, out)) { return 0; }
        if (out->count < intake->poll_count_max && tg_fill_room(&intake->fill) >= ROOM_BYTES &&
            partition->next < partition->end) {
            struct filling filling = {intake, partition, out};
            watch_queue(intake, partition, now_ns);
            (void)rd_kafka_consume_callback_queue(partition->queue, 0, on_message, &filling);
            if (out->count > 0) { partition->record_bytes = average_bytes(out); }
        }
    }
    if (partition->next >= partition->end && partition->held == NULL) {
        out->flags |= TG_RAW_ENDED;
        partition->ended = true;
    }
    if (out->count == 0 && out->flags == 0) { return 0; }
    out->partition = partition->number;
    if (out->count > 0) { out->buffer = tg_fill_lend(&intake->fill); }
    return 1;
}

int64_t tg_kafka_intake_position(const struct tg_kafka_partition *partition)
{
    return partition->held != NULL ? partition->held_slice.offset : partition->next;
}

void tg_kafka_partition_close(struct tg_kafka_partition *partition)
{
    free(partition->held);
    partition->held = NULL;
    if (partition->queue != NULL) {
        rd_kafka_queue_cb_event_enable(partition->queue, NULL, NULL);
        rd_kafka_queue_destroy(partition->queue);
        partition->queue = NULL;
    }
}
