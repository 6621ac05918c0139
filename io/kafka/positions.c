/* ListOffsets has marks for "first" and "end" in the place of a time, so three lists of one request per broker answer
 * for all partitions at once; the library's own watermark query asks partition by partition and waits without a limit.
 */
#include "io/kafka/positions.h"

#include "base/assert.h"
#include "io/kafka/client.h"

enum { ANSWER_MS = 2000 };

/* The library says "unknown partition" of a whole list when none of them has a leader; each one says why. */
static rd_kafka_resp_err_t first_error(rd_kafka_resp_err_t err, const rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_resp_err_t first = err == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION ? RD_KAFKA_RESP_ERR_NO_ERROR : err;
    for (int i = 0; first == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++) { first = list->elems[i].err; }
    return first != RD_KAFKA_RESP_ERR_NO_ERROR ? first : err;
}

/* Offsets of all partitions for `time`: milliseconds, or one of the two marks. False = *positions says why. */
static bool ask_offsets(struct tg_kafka_positions *positions, rd_kafka_topic_partition_list_t *list, int64_t time,
                        const char *question)
{
    for (int i = 0; i < list->cnt; i++) {
        list->elems[i].offset = time;
        list->elems[i].err = RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    positions->question = question;
    positions->err = first_error(rd_kafka_offsets_for_times(positions->rk, list, positions->answer_ms), list);
    return positions->err == RD_KAFKA_RESP_ERR_NO_ERROR;
}

static bool ask_committed(struct tg_kafka_positions *positions)
{
    rd_kafka_topic_partition_list_t *list = positions->committed;
    for (int i = 0; i < list->cnt; i++) { list->elems[i].err = RD_KAFKA_RESP_ERR_NO_ERROR; }
    positions->question = "committed offsets";
    positions->err = first_error(rd_kafka_committed(positions->rk, list, positions->answer_ms), list);
    return positions->err == RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* On the helper. */
static void run(struct tg_task *task)
{
    struct tg_kafka_positions *positions = task->owner;
    if (!ask_offsets(positions, positions->high, RD_KAFKA_OFFSET_END, "end offsets")) { return; }
    if (!ask_offsets(positions, positions->low, RD_KAFKA_OFFSET_BEGINNING, "first offsets")) { return; }
    if (positions->want_times && !ask_offsets(positions, positions->times, positions->time_ms, "offsets by time")) {
        return;
    }
    if (positions->want_committed) { (void)ask_committed(positions); }
}

void tg_kafka_positions_ask_now(struct tg_kafka_positions *positions) { run(&positions->task); }

static void done(struct tg_task *task)
{
    struct tg_kafka_positions *positions = task->owner;
    positions->phase = TG_KAFKA_POSITIONS_ANSWERED;
}

void tg_kafka_positions_init(struct tg_kafka_positions *positions, rd_kafka_t *rk, const char *topic,
                             const uint32_t *partitions, uint32_t count)
{
    *positions = (struct tg_kafka_positions){
        .task = {.run = run, .done = done, .owner = positions}, .rk = rk, .answer_ms = ANSWER_MS};
    rd_kafka_topic_partition_list_t **const lists[] = {&positions->low, &positions->high, &positions->times,
                                                       &positions->committed};
    for (uint32_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        *lists[i] = rd_kafka_topic_partition_list_new((int)count);
        for (uint32_t k = 0; k < count; k++) {
            (void)rd_kafka_topic_partition_list_add(*lists[i], topic, (int32_t)partitions[k]);
        }
    }
}

bool tg_kafka_positions_ask(struct tg_kafka_positions *positions, struct tg_helper *helper, uint32_t shard)
{
    TG_ASSERT(positions->phase != TG_KAFKA_POSITIONS_ASKING);
    if (!tg_helper_submit(helper, shard, &positions->task)) { return false; }
    positions->phase = TG_KAFKA_POSITIONS_ASKING;
    return true;
}

void tg_kafka_positions_deinit(struct tg_kafka_positions *positions, struct tg_helper *helper, uint32_t shard)
{
    while (positions->phase == TG_KAFKA_POSITIONS_ASKING) { /* bounded: four questions of answer_ms */
        (void)tg_helper_wait(helper, shard);
    }
    rd_kafka_topic_partition_list_t *const lists[] = {positions->low, positions->high, positions->times,
                                                      positions->committed};
    for (uint32_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        if (lists[i] != NULL) { rd_kafka_topic_partition_list_destroy(lists[i]); }
    }
}

tg_status tg_kafka_positions_start(const struct tg_kafka_positions *positions, uint32_t index, enum tg_start_kind start,
                                   int64_t *offset, struct tg_error *err)
{
    const int64_t low = positions->low->elems[index].offset;
    const int64_t high = positions->high->elems[index].offset;
    const rd_kafka_topic_partition_t *committed = &positions->committed->elems[index];
    if (committed->offset >= 0) {
        *offset = committed->offset;
        if (*offset >= low && *offset <= high) { return TG_OK; }
        return tg_fail(err, TG1205, 0,
                       "topic \"%s\" partition %d: offset %lld is %s (the log holds %lld to "
                       "%lld), and the job was to go on there\n  %s. To begin anew: --fresh",
                       committed->topic, committed->partition, (long long)*offset,
                       *offset < low ? "no longer in the log" : "beyond the end of the log", (long long)low,
                       (long long)high,
                       *offset < low ? "records were deleted before the job read them; raise the topic's retention"
                                     : "was the topic created again?");
    }
    *offset = low;
    if (start == TG_START_LATEST) { *offset = high; }
    if (start == TG_START_HORIZON) {
        const int64_t found = positions->times->elems[index].offset; /* negative: nothing that young */
        *offset = found >= 0 ? found : high;
    }
    return TG_OK;
}
