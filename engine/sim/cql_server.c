/* Connections, framing, and executions that take their time. */
#include "engine/sim/cql_server.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "engine/sim/cql_peer.h"
#include "io/cassandra/connection.h"

enum { HEADER_BYTES = 9 };
#define RESULT_VOID UINT32_MAX

/* ---- answers ----------------------------------------------------------------------------------------------------- */

static void put_le24(uint8_t *out, uint32_t value)
{
    out[0] = (uint8_t)value;
    out[1] = (uint8_t)(value >> 8);
    out[2] = (uint8_t)(value >> 16);
}

void tg_sim_cql_answer(struct tg_sim_peer *peer, int16_t stream, enum tg_cql_opcode opcode,
                       const struct tg_cql_writer *body, bool corrupt)
{
    enum { SELF_CONTAINED = 1 << 17, FRAME_HEADER = 6, FRAME_TRAILER = 4 };
    uint8_t data[TG_SIM_ANSWER_BYTES + HEADER_BYTES + FRAME_HEADER + FRAME_TRAILER];
    uint8_t *const payload = data + FRAME_HEADER;
    struct tg_cql_writer out = {.data = payload, .capacity = TG_SIM_ANSWER_BYTES + HEADER_BYTES};
    if (peer->link == NULL) { return; }
    tg_cql_put_u8(&out, (uint8_t)(peer->version | 0x80));
    tg_cql_put_u8(&out, 0);
    tg_cql_put_u16(&out, (uint16_t)stream);
    tg_cql_put_u8(&out, (uint8_t)opcode);
    tg_cql_put_u32(&out, body->used);
    tg_cql_put_raw(&out, body->data, body->used);
    TG_ASSERT(!out.overflow && !body->overflow);
    if (!peer->framed) {
        tg_sim_link_send(peer->link, payload, out.used);
        return;
    }
    const uint32_t header = out.used | SELF_CONTAINED;
    const uint32_t crc = tg_cql_crc32(payload, out.used);
    put_le24(data, header);
    put_le24(data + 3, tg_cql_crc24(header));
    put_le24(payload + out.used, crc);
    payload[out.used + 3] = (uint8_t)(crc >> 24);
    if (corrupt) { payload[out.used / 2] ^= 0x10; }
    tg_sim_link_send(peer->link, data, FRAME_HEADER + out.used + FRAME_TRAILER);
}

void tg_sim_cql_error(struct tg_sim_peer *peer, int16_t stream, uint32_t code, const char *text)
{
    enum { LOCAL_QUORUM = 6 };
    uint8_t data[256];
    struct tg_cql_writer body = {.data = data, .capacity = sizeof data};
    tg_cql_put_u32(&body, code);
    tg_cql_put_string(&body, text);
    if (code == TG_CQL_CODE_UNAVAILABLE || code == TG_CQL_CODE_WRITE_TIMEOUT || code == TG_CQL_CODE_WRITE_FAILURE) {
        tg_cql_put_u16(&body, LOCAL_QUORUM);
        tg_cql_put_u32(&body, 2);
        tg_cql_put_u32(&body, 1);
    }
    if (code == TG_CQL_CODE_WRITE_FAILURE) { tg_cql_put_u32(&body, 0); }
    if (code == TG_CQL_CODE_WRITE_TIMEOUT || code == TG_CQL_CODE_WRITE_FAILURE) { tg_cql_put_string(&body, "SIMPLE"); }
    if (code == TG_CQL_CODE_UNPREPARED) { tg_cql_put_short_bytes(&body, "?", 1); }
    tg_sim_cql_answer(peer, stream, TG_CQL_ERROR, &body, false);
}

/* ---- work in hand ------------------------------------------------------------------------------------------------ */

static bool before(const struct tg_sim_cql_task *a, const struct tg_sim_cql_task *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->number < b->number;
}

static void task_push(struct tg_sim_cql *cql, const struct tg_sim_cql_task *task)
{
    if (cql->task_count == cql->task_capacity) {
        cql->task_capacity = cql->task_capacity == 0 ? 64 : 2 * cql->task_capacity;
        cql->tasks = realloc(cql->tasks, cql->task_capacity * sizeof *cql->tasks);
        TG_ASSERT(cql->tasks != NULL);
    }
    uint32_t at = cql->task_count++;
    cql->tasks[at] = *task;
    cql->tasks[at].number = ++cql->number;
    while (at > 0 && before(&cql->tasks[at], &cql->tasks[(at - 1) / 2])) {
        const struct tg_sim_cql_task other = cql->tasks[(at - 1) / 2];
        cql->tasks[(at - 1) / 2] = cql->tasks[at];
        cql->tasks[at] = other;
        at = (at - 1) / 2;
    }
}

static struct tg_sim_cql_task task_pop(struct tg_sim_cql *cql)
{
    const struct tg_sim_cql_task first = cql->tasks[0];
    cql->tasks[0] = cql->tasks[--cql->task_count];
    for (uint32_t at = 0;;) { /* ends: at grows */
        uint32_t least = at;
        for (uint32_t child = 2 * at + 1; child <= 2 * at + 2 && child < cql->task_count; child++) {
            if (before(&cql->tasks[child], &cql->tasks[least])) { least = child; }
        }
        if (least == at) { return first; }
        const struct tg_sim_cql_task other = cql->tasks[at];
        cql->tasks[at] = cql->tasks[least];
        cql->tasks[least] = other;
        at = least;
    }
}

void tg_sim_cql_apply(const struct tg_sim_cql *cql, const struct tg_sim_cql_task *task)
{
    struct tg_sim_value values[TG_SIM_CELLS_MAX];
    struct tg_cql_reader reader = {.data = task->image, .bytes = task->image_bytes};
    for (uint32_t i = 0; i < TG_SIM_CELLS_MAX; i++) { values[i] = (struct tg_sim_value){.unset = true}; }
    for (uint32_t i = 0; i < task->order_count; i++) {
        struct tg_cql_reader length = reader;
        const bool unset = (int32_t)tg_cql_get_u32(&length) == -2;
        values[task->order[i]] = (struct tg_sim_value){.view = tg_cql_get_bytes(&reader), .unset = unset};
    }
    TG_ASSERT(!reader.broken && reader.at == reader.bytes);
    tg_sim_table_write(cql->config.table, values, task->timestamp);
}

static void answer(const struct tg_sim_cql_task *task)
{
    const uint32_t stream = (uint32_t)(uint16_t)task->stream;
    task->peer->unanswered[stream / 64] &= ~(UINT64_C(1) << stream % 64);
    uint8_t data[4];
    struct tg_cql_writer body = {.data = data, .capacity = sizeof data};
    if (task->error != RESULT_VOID) {
        tg_sim_cql_error(task->peer, task->stream, task->error, "drawn by the simulator");
        return;
    }
    tg_cql_put_u32(&body, 1);
    tg_sim_cql_answer(task->peer, task->stream, TG_CQL_RESULT, &body, task->corrupt);
}

uint32_t tg_sim_cql_step(struct tg_sim_cql *cql)
{
    uint32_t work = 0;
    while (cql->task_count > 0 && cql->tasks[0].due_ns <= cql->config.world->now_ns) {
        const struct tg_sim_cql_task task = task_pop(cql);
        const bool connected = task.peer->link != NULL && task.peer->generation == task.generation;
        if (task.applies) { tg_sim_cql_apply(cql, &task); }
        if (task.answers && connected) { answer(&task); }
        if (task.cuts && connected) { tg_sim_link_cut(task.peer->link); }
        free(task.image);
        work++;
    }
    return work;
}

/* ---- fate -------------------------------------------------------------------------------------------------------- */

static uint32_t pick(struct tg_sim_cql *cql, uint32_t count, const uint32_t *codes)
{
    return codes[tg_prng_below(&cql->prng, count)];
}

enum fate {
    ORDINARY,
    REFUSED,
    TIMEOUT_APPLIED,
    TIMEOUT_LATER,
    TIMEOUT_LOST,
    FAILURE,
    LATE,
    SILENT,
    FORGET,
    CUT,
    CORRUPT,
};

static enum fate draw(struct tg_sim_cql *cql)
{
    const struct tg_sim_cql_faults *f = &cql->faults;
    const uint32_t shares[] = {0,
                               f->overloaded_ppm,
                               f->timeout_applied_ppm,
                               f->timeout_later_ppm,
                               f->timeout_lost_ppm,
                               f->failure_ppm,
                               f->late_ppm,
                               f->silent_ppm,
                               f->forget_ppm,
                               f->cut_ppm,
                               f->corrupt_ppm};
    uint32_t drawn = tg_prng_below(&cql->prng, 1000000);
    for (uint32_t i = 1; i < sizeof shares / sizeof shares[0]; i++) {
        if (drawn < shares[i]) { return (enum fate)i; }
        drawn -= shares[i];
    }
    return ORDINARY;
}

static uint64_t below_ns(struct tg_sim_cql *cql, uint64_t limit)
{
    return limit == 0 ? 0 : tg_prng_next(&cql->prng) % limit;
}

/* A second task of the same execution, with an image of its own. */
static void push_copy(struct tg_sim_cql *cql, const struct tg_sim_cql_task *task)
{
    struct tg_sim_cql_task copy = *task;
    copy.image = malloc(task->image_bytes + 1);
    TG_ASSERT(copy.image != NULL);
    memcpy(copy.image, task->image, task->image_bytes);
    task_push(cql, &copy);
}

void tg_sim_cql_execute(struct tg_sim_cql *cql, const struct tg_sim_cql_task *given)
{
    static const uint32_t refusals[] = {TG_CQL_CODE_OVERLOADED, TG_CQL_CODE_UNAVAILABLE, TG_CQL_CODE_BOOTSTRAPPING};
    static const uint32_t failures[] = {TG_CQL_CODE_WRITE_FAILURE, TG_CQL_CODE_SERVER};
    const enum fate fate = draw(cql);
    struct tg_sim_cql_task task = *given;
    struct tg_sim_cql_task second = {0};
    task.due_ns = cql->config.world->now_ns + below_ns(cql, cql->faults.service_ns);
    task.applies = true;
    task.answers = true;
    task.error = RESULT_VOID;
    const uint32_t stream = (uint32_t)(uint16_t)task.stream;
    TG_ASSERT(stream < TG_SIM_STREAMS_MAX);
    const uint64_t bit = UINT64_C(1) << stream % 64;
    cql->stream_reused = cql->stream_reused || (task.peer->unanswered[stream / 64] & bit) != 0;
    task.peer->unanswered[stream / 64] |= bit;
    cql->executions++;
    cql->faulted += fate != ORDINARY;
    switch (fate) {
    case ORDINARY: break;
    case REFUSED:
        task.applies = false;
        task.error = pick(cql, 3, refusals);
        break;
    case TIMEOUT_LOST: task.applies = false; __attribute__((fallthrough));
    case TIMEOUT_APPLIED: task.error = TG_CQL_CODE_WRITE_TIMEOUT; break;
    case TIMEOUT_LATER:
    case LATE:
        second = task;
        second.due_ns = task.due_ns + cql->faults.late_ns / 2 + below_ns(cql, cql->faults.late_ns);
        second.answers = fate == LATE;
        second.applies = fate != LATE;
        task.answers = fate != LATE;
        task.applies = fate == LATE;
        if (task.answers) { task.error = TG_CQL_CODE_WRITE_TIMEOUT; }
        push_copy(cql, &second);
        break;
    case FAILURE:
        task.applies = tg_prng_below(&cql->prng, 2) == 0;
        task.error = pick(cql, 2, failures);
        break;
    case SILENT:
        task.applies = tg_prng_below(&cql->prng, 2) == 0;
        task.answers = false;
        break;
    case FORGET:
        task.applies = false;
        task.error = TG_CQL_CODE_UNPREPARED;
        task.peer->node->epoch++;
        break;
    case CUT: task.cuts = true; break;
    case CORRUPT: task.corrupt = true; break;
    }
    push_copy(cql, &task);
}

/* ---- input ------------------------------------------------------------------------------------------------------- */

static uint32_t be32(const uint8_t *data)
{
    return (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];
}

/* Whole envelopes at the start of data[bytes]; returns their length. Stops where framing begins. */
static uint32_t take_envelopes(struct tg_sim_cql *cql, struct tg_sim_peer *peer, const uint8_t *data, uint32_t bytes)
{
    uint32_t at = 0;
    const bool framed = peer->framed;
    while (bytes - at >= HEADER_BYTES && peer->framed == framed && peer->link != NULL) {
        const uint32_t whole = HEADER_BYTES + be32(data + at + 5);
        if (whole > bytes - at) { break; }
        tg_sim_cql_request(cql, peer, data + at, whole);
        at += whole;
    }
    return at;
}

/* One frame at the start of data[bytes]; returns its length, 0 when it is not all there. */
static uint32_t take_frame(struct tg_sim_cql *cql, struct tg_sim_peer *peer, const uint8_t *data, uint32_t bytes)
{
    enum { OVERHEAD = 10, SELF_CONTAINED = 1 << 17 };
    if (bytes < OVERHEAD) { return 0; }
    const uint32_t header = (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16;
    const uint32_t crc = (uint32_t)data[3] | (uint32_t)data[4] << 8 | (uint32_t)data[5] << 16;
    const uint32_t payload = header & TG_CQL_FRAME_PAYLOAD_MAX;
    TG_ASSERT(tg_cql_crc24(header) == crc && (header & SELF_CONTAINED) != 0);
    if (bytes < payload + OVERHEAD) { return 0; }
    const uint8_t *end = data + 6 + payload;
    TG_ASSERT(tg_cql_crc32(data + 6, payload) ==
              ((uint32_t)end[3] << 24 | (uint32_t)end[2] << 16 | (uint32_t)end[1] << 8 | end[0]));
    const uint32_t taken = take_envelopes(cql, peer, data + 6, payload);
    TG_ASSERT(taken == payload || peer->link == NULL);
    return payload + OVERHEAD;
}

static void received(void *self, struct tg_sim_link *link, const uint8_t *data, uint32_t bytes)
{
    struct tg_sim_cql_node *node = self;
    struct tg_sim_peer *peer = *tg_sim_link_word(link);
    if (peer == NULL) { return; } /* too many: never answered */
    if (peer->input_used + bytes > peer->input_capacity) {
        peer->input_capacity = 2 * (peer->input_used + bytes);
        peer->input = realloc(peer->input, peer->input_capacity);
        TG_ASSERT(peer->input != NULL);
    }
    memcpy(peer->input + peer->input_used, data, bytes);
    peer->input_used += bytes;
    uint32_t at = 0;
    for (uint32_t taken = 1; taken > 0 && peer->link != NULL;) { /* ends: each round consumes bytes */
        const uint32_t left = peer->input_used - at;
        taken = peer->framed ? take_frame(node->cql, peer, peer->input + at, left)
                             : take_envelopes(node->cql, peer, peer->input + at, left);
        at += taken;
    }
    peer->input_used -= at;
    memmove(peer->input, peer->input + at, peer->input_used);
}

static void accepted(void *self, struct tg_sim_link *link)
{
    struct tg_sim_cql_node *node = self;
    for (uint32_t i = 0; i < TG_SIM_PEERS_MAX; i++) {
        struct tg_sim_peer *peer = &node->cql->peers[i];
        if (peer->link != NULL) { continue; }
        peer->link = link;
        peer->node = node;
        peer->generation++;
        peer->version = 4;
        peer->framed = false;
        peer->input_used = 0;
        memset(peer->unanswered, 0, sizeof peer->unanswered);
        *tg_sim_link_word(link) = peer;
        return;
    }
}

static void gone(void *self, struct tg_sim_link *link)
{
    (void)self;
    struct tg_sim_peer *peer = *tg_sim_link_word(link);
    if (peer != NULL) { peer->link = NULL; }
}

/* ---- the cluster ------------------------------------------------------------------------------------------------- */

struct tg_sim_cql *tg_sim_cql_create(const struct tg_sim_cql_config *config)
{
    struct tg_sim_cql *cql = calloc(1, sizeof *cql);
    if (cql == NULL) { return NULL; }
    TG_ASSERT(config->nodes >= 1 && config->nodes <= TG_SIM_HOSTS_MAX);
    cql->config = *config;
    cql->prng = (struct tg_prng){config->seed};
    for (uint32_t i = 0; i < config->nodes; i++) {
        struct tg_sim_cql_node *node = &cql->nodes[i];
        node->cql = cql;
        node->index = i;
        node->service = (struct tg_sim_service){accepted, received, gone, node};
        tg_sim_net_listen(config->net, i, &node->service);
    }
    return cql;
}

void tg_sim_cql_destroy(struct tg_sim_cql *cql)
{
    if (cql == NULL) { return; }
    for (uint32_t i = 0; i < cql->task_count; i++) { free(cql->tasks[i].image); }
    for (uint32_t i = 0; i < TG_SIM_PEERS_MAX; i++) { free(cql->peers[i].input); }
    free(cql->tasks);
    free(cql);
}

void tg_sim_cql_set_faults(struct tg_sim_cql *cql, const struct tg_sim_cql_faults *faults) { cql->faults = *faults; }

const char *tg_sim_cql_violation(const struct tg_sim_cql *cql)
{
    return cql->stream_reused ? "a stream id was used again before its answer had come" : NULL;
}

void tg_sim_cql_counts(const struct tg_sim_cql *cql, uint64_t *executions, uint64_t *faulted)
{
    *executions = cql->executions;
    *faulted = cql->faulted;
}
