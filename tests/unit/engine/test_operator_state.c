/* The state containers of turgo.h at work: a whole job runs an operator that does to its deque, list, map and kept
 * texts what its rows say, and emits a digest of all of them after every row. The model does the same to plain arrays.
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/prng.h"
#include "engine/job.h"
#include "engine/layout.h"
#include "engine/runtime.h"
#include "tests/seed.h"

/* ---- the operator ------------------------------------------------------------------------------------------------ */

#define ORDER(F) F(integer, op) F(bigint, number) F(text, word) F(timestamp, at)
#define ANSWER(F) F(bigint, digest) F(integer, elements) F(boolean, truth)
#define ENTRY(F) F(numeric, amount) F(integer, size) F(label, note)
#define WORD(F) F(name, word) F(integer, kind)
#define TALLY(F) F(numeric, sum) F(timestamp, last) F(integer, count)
#define SHELF(F) \
    F(boolean, touched) \
    F(numeric, total) \
    F(deque_bigint, ranks) F(list, entries, entry) F(map, tallies, word_key, tally) F(deque_timestamp, times) \
        F(timestamp, latest) F(label, last_word)
#define SWITCHES(F) F(boolean, weigh)
TG_RECORD(order, ORDER)
TG_RECORD(answer, ANSWER)
TG_ELEMENT(entry, ENTRY)
TG_ELEMENT(word_key, WORD)
TG_ELEMENT(tally, TALLY)
TG_STATE(shelf, SHELF, 3)
TG_PARAMS(switches, SWITCHES)

enum op {
    RANK,
    RANKS_UNTIL,
    ADD,
    DROP,
    PUT,
    REMOVE,
    SWEEP, /* walk, and drop what is odd */
    EMPTY,
    FORGET,
    WEIGHT, /* long lists, for the budget's sake */
    OP_COUNT,
};

static uint64_t mix(uint64_t digest, uint64_t value)
{
    struct tg_prng prng = {digest * 31 + value};
    return tg_prng_next(&prng);
}

static uint64_t text_number(tg_text text)
{
    uint64_t number = text.bytes;
    for (uint32_t i = 0; i < text.bytes; i++) { number = number * 131 + (uint8_t)text.data[i]; }
    return number;
}

static uint64_t digest_of(tg_ctx *c, shelf *s)
{
    uint64_t digest = mix((uint64_t)s->total, (uint64_t)s->latest);
    for (uint32_t i = 0; i < tg_deque_count(&s->ranks); i++) {
        digest = mix(digest, (uint64_t)tg_deque_get(&s->ranks, i));
    }
    for (uint32_t i = 0; i < tg_deque_count(&s->times); i++) {
        digest = mix(digest, (uint64_t)tg_deque_get(&s->times, i));
    }
    for (uint32_t i = 0; i < tg_list_count(&s->entries); i++) {
        const entry *e = tg_list_get(c, &s->entries, i);
        digest = mix(mix(mix(digest, (uint64_t)e->amount), (uint64_t)e->size), text_number(tg_kept(&e->note)));
    }
    uint64_t together = 0; /* a walk's order is not the model's business */
    for (tg_cursor at = {0}; tg_map_walk(c, &s->tallies, &at);) {
        const word_key *key = at.key;
        const tally *t = at.value;
        TG_ASSERT(tg_map_get(c, &s->tallies, .word = key->word, .kind = key->kind) == t);
        together += mix(
            mix(mix(mix(text_number(tg_kept(&key->word)), (uint64_t)key->kind), (uint64_t)t->sum), (uint64_t)t->last),
            (uint64_t)t->count);
    }
    return mix(mix(digest, together), text_number(tg_kept(&s->last_word)));
}

static void sweep(tg_ctx *c, shelf *s)
{
    for (tg_cursor at = {0}; tg_map_walk(c, &s->tallies, &at);) {
        const tally *t = at.value;
        if (t->count % 2 != 0) { tg_map_walk_drop(c, &s->tallies, &at); }
    }
}

static bool apply_map(tg_ctx *c, const order *e, shelf *s, bool *truth)
{
    word_key key = {.kind = (int32_t)(e->number % 3)};
    TG_ASSERT(tg_keep(&key.word, e->word));
    if (e->op == REMOVE) {
        *truth = tg_map_drop(c, &s->tallies, .word = key.word, .kind = key.kind);
        return true;
    }
    *truth = tg_map_get(c, &s->tallies, .word = key.word, .kind = key.kind) != NULL;
    tally *t = tg_map_put(c, &s->tallies, .word = key.word, .kind = key.kind);
    if (t == NULL) { return false; }
    TG_ASSERT(*truth || (t->last == TG_TS_MIN && t->count == 0));
    t->count++;
    t->sum += e->number;
    t->last = t->last > e->at ? t->last : e->at;
    return true;
}

static void empty_one(tg_ctx *c, shelf *s, uint32_t which)
{
    switch (which) {
    case 0: tg_empty(c, &s->ranks); break;
    case 1: tg_empty(c, &s->entries); break;
    case 2: tg_empty(c, &s->tallies); break;
    default: tg_empty(c, &s->times); break;
    }
}

static bool add_entries(tg_ctx *c, const order *e, shelf *s, uint32_t count)
{
    const uint32_t before = tg_list_count(&s->entries);
    for (uint32_t i = 0; i < count; i++) {
        entry *added = tg_list_add(c, &s->entries, .amount = e->number * 2, .size = (int32_t)i);
        if (added == NULL) { /* all or nothing */
            tg_list_drop(c, &s->entries, before, i);
            return false;
        }
        TG_ASSERT((uintptr_t)added % _Alignof(entry) == 0);
        TG_ASSERT(tg_keep(&added->note, e->word) == (e->word.bytes <= 15));
    }
    return true;
}

static tg_result on_order(tg_ctx *c, const order *e, shelf *s, const switches *p)
{
    bool truth = false;
    bool room = true;
    TG_ASSERT((uintptr_t)s % _Alignof(shelf) == 0);
    TG_ASSERT(s->touched || (s->latest == TG_TS_MIN && s->total == 0));
    switch ((enum op)e->op) {
    case RANK: room = tg_deque_insert(c, &s->ranks, e->number); break;
    case RANKS_UNTIL: tg_deque_drop_until(&s->ranks, e->number); break;
    case ADD: room = add_entries(c, e, s, 1); break;
    case DROP: {
        const uint32_t count = tg_list_count(&s->entries);
        const uint32_t from = count == 0 ? 0 : (uint32_t)(e->number % count);
        tg_list_drop(c, &s->entries, from, count - from < 2 ? count - from : 2);
        break;
    }
    case PUT:
    case REMOVE: room = apply_map(c, e, s, &truth); break;
    case SWEEP: sweep(c, s); break;
    case EMPTY: empty_one(c, s, (uint32_t)(e->number % 4)); break;
    case FORGET: tg_state_forget(c); break;
    case WEIGHT: room = add_entries(c, e, s, p->weigh ? 400 : 3); break;
    case OP_COUNT: return tg_fail_job(c, "no such order");
    }
    if (!room) { return tg_state_full(c); }
    if (e->op % 2 == 0) {
        const bool kept = tg_keep(&s->last_word, e->word);
        TG_ASSERT(kept == (e->word.bytes <= 15));
    }
    if (!tg_deque_insert(c, &s->times, e->at)) { return tg_fail_job(c, "the inline part has room"); }
    tg_deque_drop_until(&s->times, e->at - TG_SECONDS(10));
    s->touched = true;
    s->total += e->number;
    s->latest = e->at;
    tg_emit(c, answer, .digest = (int64_t)(digest_of(c, s) >> 1),
            .elements = (int32_t)(tg_deque_count(&s->ranks) + tg_list_count(&s->entries) + tg_map_count(&s->tallies)),
            .truth = truth);
    return TG_ROW_OK;
}

static tg_result on_timer(tg_ctx *c, uint32_t timer, shelf *s, const switches *p)
{
    (void)timer;
    (void)s;
    (void)p;
    return tg_fail_job(c, "no timer was armed");
}

TG_OPERATOR(shelves, order, shelf, switches, on_order, on_timer, .outputs = TG_OUTPUTS(TG_OUTPUT(answer)),
            .output_count = 1, .revision = TG_REVISION_EVENT_TIME, .may_forget = true);

/* ---- the model --------------------------------------------------------------------------------------------------- */

enum { ROWS_MAX = 30000, KEYS = 7, ELEMENTS_MAX = 60000, WORDS = 9, TIMES_MAX = 64 };
static const char *const words[WORDS] = {"",
                                         "a",
                                         "b",
                                         "tea",
                                         "fifteen letters",
                                         "sixteen letters!",
                                         "\xc3\xa9t\xc3\xa9",
                                         "a word of quite some length, still below the limit of 63 bytes",
                                         "tea "};

struct row {
    uint32_t key;
    uint32_t op;
    int64_t number;
    uint32_t word;
    int64_t at;
};
struct model_entry {
    int64_t amount;
    int32_t size;
    uint32_t word;
};
struct model {
    bool touched;
    int64_t total;
    int64_t latest;
    uint32_t rank_count;
    int64_t ranks[ROWS_MAX];
    uint32_t entry_count;
    struct model_entry entries[ELEMENTS_MAX];
    uint32_t time_count;
    int64_t times[TIMES_MAX];
    struct {
        bool present;
        int64_t sum, last;
        int32_t count;
    } tallies[WORDS][3];
    uint32_t last_word;
};
static struct model models[KEYS];

static void model_ranks(struct model *m, const struct row *row)
{
    if (row->op == RANK) {
        uint32_t at = m->rank_count++;
        for (; at > 0 && m->ranks[at - 1] > row->number; at--) { m->ranks[at] = m->ranks[at - 1]; }
        m->ranks[at] = row->number;
        return;
    }
    uint32_t dropped = 0;
    while (dropped < m->rank_count && m->ranks[dropped] <= row->number) { dropped++; }
    memmove(m->ranks, m->ranks + dropped, (m->rank_count - dropped) * sizeof m->ranks[0]);
    m->rank_count -= dropped;
}

static void model_drop(struct model *m, const struct row *row)
{
    if (m->entry_count == 0) { return; }
    const uint32_t from = (uint32_t)(row->number % m->entry_count);
    const uint32_t count = m->entry_count - from < 2 ? m->entry_count - from : 2;
    memmove(m->entries + from, m->entries + from + count, (m->entry_count - from - count) * sizeof m->entries[0]);
    m->entry_count -= count;
}

static void model_add(struct model *m, const struct row *row, uint32_t count)
{
    cr_assert_leq(m->entry_count + count, ELEMENTS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t noted = strlen(words[row->word]) <= 15 ? row->word : 0;
        m->entries[m->entry_count++] = (struct model_entry){row->number * 2, (int32_t)i, noted};
    }
}

static void model_empty(struct model *m, uint32_t which)
{
    switch (which) {
    case 0: m->rank_count = 0; break;
    case 1: m->entry_count = 0; break;
    case 2: memset(m->tallies, 0, sizeof m->tallies); break;
    default: m->time_count = 0; break;
    }
}

/* What the row does to the model; returns the answer's truth. */
static bool model_apply(struct model *m, const struct row *row, uint32_t weight)
{
    const uint32_t kind = (uint32_t)(row->number % 3);
    bool truth = false;
    if (!m->touched) { m->latest = TG_TS_MIN; }
    switch ((enum op)row->op) {
    case RANK:
    case RANKS_UNTIL: model_ranks(m, row); break;
    case ADD: model_add(m, row, 1); break;
    case DROP: model_drop(m, row); break;
    case PUT:
        truth = m->tallies[row->word][kind].present;
        if (!truth) { m->tallies[row->word][kind].last = TG_TS_MIN; }
        m->tallies[row->word][kind].present = true;
        m->tallies[row->word][kind].count++;
        m->tallies[row->word][kind].sum += row->number;
        m->tallies[row->word][kind].last = row->at;
        break;
    case REMOVE:
        truth = m->tallies[row->word][kind].present;
        memset(&m->tallies[row->word][kind], 0, sizeof m->tallies[0][0]);
        break;
    case SWEEP:
        for (uint32_t i = 0; i < WORDS * 3; i++) {
            if (m->tallies[i / 3][i % 3].count % 2 != 0) {
                memset(&m->tallies[i / 3][i % 3], 0, sizeof m->tallies[0][0]);
            }
        }
        break;
    case EMPTY: model_empty(m, (uint32_t)(row->number % 4)); break;
    case FORGET:
    case OP_COUNT: break;
    case WEIGHT: model_add(m, row, weight); break;
    }
    if (row->op % 2 == 0 && strlen(words[row->word]) <= 15) { m->last_word = row->word; }
    m->times[m->time_count++] = row->at;
    uint32_t old = 0;
    while (m->times[old] <= row->at - TG_SECONDS(10)) { old++; }
    memmove(m->times, m->times + old, (m->time_count - old) * sizeof m->times[0]);
    m->time_count -= old;
    m->touched = true;
    m->total += row->number;
    m->latest = row->at;
    return truth;
}

static uint64_t word_number(uint32_t word)
{
    return text_number((tg_text){.data = words[word], .bytes = (uint32_t)strlen(words[word])});
}

static void model_answer(const struct model *m, int64_t *digest_out, int32_t *elements)
{
    uint64_t digest = mix((uint64_t)m->total, (uint64_t)m->latest);
    uint32_t count = m->rank_count + m->entry_count;
    for (uint32_t i = 0; i < m->rank_count; i++) { digest = mix(digest, (uint64_t)m->ranks[i]); }
    for (uint32_t i = 0; i < m->time_count; i++) { digest = mix(digest, (uint64_t)m->times[i]); }
    for (uint32_t i = 0; i < m->entry_count; i++) {
        const struct model_entry *e = &m->entries[i];
        digest = mix(mix(mix(digest, (uint64_t)e->amount), (uint64_t)e->size), word_number(e->word));
    }
    uint64_t together = 0;
    for (uint32_t w = 0; w < WORDS; w++) {
        for (uint32_t k = 0; k < 3; k++) {
            if (!m->tallies[w][k].present) { continue; }
            together +=
                mix(mix(mix(mix(word_number(w), k), (uint64_t)m->tallies[w][k].sum), (uint64_t)m->tallies[w][k].last),
                    (uint64_t)m->tallies[w][k].count);
            count++;
        }
    }
    *digest_out = (int64_t)(mix(mix(digest, together), word_number(m->last_word)) >> 1);
    *elements = (int32_t)count;
}

/* ---- the job ----------------------------------------------------------------------------------------------------- */

static const char job_text[] = "job: shelves\n"
                               "sources:\n"
                               "  orders:\n"
                               "    file: {path: %s/in.jsonl}\n"
                               "    decode: json\n"
                               "    fields: {shelf: text, op: integer, number: bigint, word: text, at: timestamp}\n"
                               "    event_time: at\n"
                               "    watermark: {delay: 1s}\n"
                               "steps:\n"
                               "  answers:\n"
                               "    process: {operator: shelves, from: orders, key: [shelf], params: {weigh: %s}}\n"
                               "    late: accept\n"
                               "sinks:\n"
                               "  out: {from: answers, file: {path: %s/out.jsonl}}\n"
                               "dead_letters: {file: {path: %s/dead.jsonl}}\n"
                               "engine: {shards: %u, max_state: %s}\n"
                               "state_dir: %s/state\n";

struct trial {
    char dir[64];
    uint64_t seed;
    uint32_t row_count;
    struct row rows[ROWS_MAX];
    bool refused[ROWS_MAX];
    uint32_t refused_count;
};
static struct trial trial;

static FILE *open_file(const char *name, const char *mode)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", trial.dir, name);
    FILE *file = fopen(path, mode);
    cr_assert_not_null(file, "%s", path);
    return file;
}

static void write_rows(uint32_t row_count)
{
    struct tg_prng prng = {trial.seed};
    FILE *file = open_file("in.jsonl", "w");
    int64_t at = 0;
    trial.row_count = row_count;
    for (uint32_t i = 0; i < row_count; i++) {
        /* Clearing ones are rare, so that containers grow; phases of taking away let them shrink. */
        static const uint32_t filling[] = {RANK, RANK,   ADD,  ADD,    ADD,  PUT, PUT,
                                           PUT,  REMOVE, DROP, WEIGHT, RANK, PUT, ADD};
        static const uint32_t emptying[] = {RANKS_UNTIL, DROP, DROP, REMOVE, PUT, RANK, ADD, SWEEP, DROP, REMOVE};
        const bool is_filling = i / 1500 % 3 != 2;
        struct row *row = &trial.rows[i];
        row->op = is_filling ? filling[tg_prng_below(&prng, sizeof filling / sizeof filling[0])]
                             : emptying[tg_prng_below(&prng, sizeof emptying / sizeof emptying[0])];
        if (tg_prng_below(&prng, 1000) == 0) { row->op = tg_prng_below(&prng, 3) == 0 ? FORGET : EMPTY; }
        row->key = tg_prng_below(&prng, 3) == 0 ? 0 : tg_prng_below(&prng, KEYS);
        row->number = tg_prng_below(&prng, 100000);
        if (row->op == RANKS_UNTIL) { row->number /= 10; }
        row->word = tg_prng_below(&prng, WORDS);
        at += tg_prng_below(&prng, 900000);
        row->at = at;
        (void)fprintf(file, "{\"shelf\":\"s%u\",\"op\":%u,\"number\":%" PRId64 ",\"word\":\"%s\",\"at\":\"", row->key,
                      row->op, row->number, words[row->word]);
        const int64_t s = at / 1000000;
        (void)fprintf(file, "1970-01-%02" PRId64 "T%02" PRId64 ":%02" PRId64 ":%02" PRId64 ".%06" PRId64 "Z\"}\n",
                      1 + s / 86400, s / 3600 % 24, s / 60 % 60, s % 60, at % 1000000);
    }
    cr_assert_eq(fclose(file), 0);
}

static void run_job(uint32_t shards, bool weigh, const char *max_state)
{
    static struct tg_findings findings;
    char path[128];
    FILE *file = open_file("job.yaml", "w");
    (void)fprintf(file, job_text, trial.dir, weigh ? "true" : "false", trial.dir, trial.dir, shards, max_state,
                  trial.dir);
    cr_assert_eq(fclose(file), 0);
    (void)snprintf(path, sizeof path, "%s/job.yaml", trial.dir);
    const struct tg_job_options options = {.path = path, .environment = true};
    struct tg_job *job = NULL;
    tg_operator_register(&tg_operator_shelves);
    cr_assert_eq(tg_job_load(&job, &options, &findings), TG_OK, "%s", findings.list[0].text);
    struct tg_error err = {0};
    const struct tg_run_options run = {.fresh = true, .until_end = true, .quiet = true, .poll_count_max = 100};
    cr_assert_eq(tg_run(job, &run, &err), TG_OK, "%s", err.text);
    tg_job_destroy(job);
}

static int64_t member(const char *line, const char *name)
{
    const char *found = strstr(line, name);
    cr_assert_not_null(found, "%s in %s", name, line);
    return strtoll(found + strlen(name), NULL, 10);
}

static void read_refused(void)
{
    char line[1024];
    FILE *file = open_file("dead.jsonl", "r");
    while (fgets(line, sizeof line, file) != NULL) {
        const int64_t offset = member(line, "\"offset\":");
        cr_assert(strstr(line, "\"reason\":\"state_full\"") != NULL, "%s", line);
        cr_assert(offset >= 0 && offset < trial.row_count && !trial.refused[offset]);
        trial.refused[offset] = true;
        trial.refused_count++;
    }
    (void)fclose(file);
}

/* The next answer for `key` in the file, which holds each key's answers in order. */
static void compare(uint32_t weight)
{
    static char lines[ROWS_MAX][160];
    static uint32_t next[KEYS];
    uint32_t line_count = 0;
    uint32_t largest = 0;
    FILE *file = open_file("out.jsonl", "r");
    while (line_count < ROWS_MAX && fgets(lines[line_count], sizeof lines[0], file) != NULL) { line_count++; }
    (void)fclose(file);
    cr_assert_eq(line_count, trial.row_count - trial.refused_count, "seed %" PRIu64 ": %u lines", trial.seed,
                 line_count);
    for (uint32_t i = 0; i < trial.row_count; i++) {
        const struct row *row = &trial.rows[i];
        if (trial.refused[i]) { continue; }
        struct model *m = &models[row->key];
        const bool truth = model_apply(m, row, weight);
        int64_t digest;
        int32_t elements;
        model_answer(m, &digest, &elements);
        char start[32];
        (void)snprintf(start, sizeof start, "{\"shelf\":\"s%u\",", row->key);
        uint32_t *at = &next[row->key];
        while (strncmp(lines[*at], start, strlen(start)) != 0) {
            (*at)++;
            cr_assert_lt(*at, line_count, "seed %" PRIu64 " row %u has no answer", trial.seed, i);
        }
        const char *line = lines[(*at)++];
        cr_assert_eq(member(line, "\"elements\":"), elements, "seed %" PRIu64 " row %u op %u", trial.seed, i, row->op);
        cr_assert_eq(member(line, "\"digest\":"), digest, "seed %" PRIu64 " row %u op %u", trial.seed, i, row->op);
        cr_assert_eq(strstr(line, "\"truth\":true") != NULL, truth, "seed %" PRIu64 " row %u", trial.seed, i);
        largest = (uint32_t)elements > largest ? (uint32_t)elements : largest;
        if (row->op == FORGET) { memset(m, 0, sizeof *m); }
    }
    cr_assert_gt(largest, 200, "seed %" PRIu64 ": containers grew", trial.seed);
}

static void run_trial(uint32_t row_count, uint32_t shards, bool weigh, const char *max_state)
{
    (void)snprintf(trial.dir, sizeof trial.dir, "/tmp/turgo-state-XXXXXX");
    cr_assert_not_null(mkdtemp(trial.dir));
    trial.seed = tg_test_seed();
    write_rows(row_count);
    run_job(shards, weigh, max_state);
    read_refused();
    compare(weigh ? 400 : 3);
    char command[128];
    (void)snprintf(command, sizeof command, "rm -r %s", trial.dir);
    cr_assert_eq(system(command), 0);
}

Test(operator_state, containers_agree_with_plain_arrays)
{
    run_trial(8000, 2, false, "64MiB");
    cr_assert_eq(trial.refused_count, 0);
}

Test(operator_state, a_spent_budget_refuses_rows_and_changes_nothing_else)
{
    run_trial(6000, 1, true, "2MiB");
    cr_assert_gt(trial.refused_count, 0, "seed %" PRIu64, trial.seed);
}

/* ---- declarations ------------------------------------------------------------------------------------------------ */

Test(operator_state, the_declaration_knows_every_byte)
{
    const struct tg_record *record = &shelf_record;
    cr_assert_eq(tg_record_offset(record, 1), offsetof(shelf, total));
    cr_assert_eq(tg_record_offset(record, 3), offsetof(shelf, entries));
    cr_assert_eq(tg_record_offset(record, 4), offsetof(shelf, tallies));
    cr_assert_eq(tg_record_offset(record, 7), offsetof(shelf, last_word));
    cr_assert_eq(tg_record_align(record), 16);
    cr_assert_str_eq(record->fields[4].key->fields[0].name, "word");
    cr_assert_eq(record->fields[4].element->fields[1].kind_id, TG_KIND_timestamp);
    struct tg_container containers[8];
    uint32_t deques;
    cr_assert_eq(tg_layout_containers(record, containers, &deques), 4);
    cr_assert_eq(deques, 2);
    cr_assert_eq(containers[0].offset, offsetof(shelf, ranks));
    cr_assert_eq(containers[1].offset, offsetof(shelf, times));
    cr_assert_eq(containers[2].element_bytes, sizeof(entry));
    cr_assert_eq(containers[3].shape.key_bytes, sizeof(word_key));
    cr_assert_eq(containers[3].shape.align, 16);
}

Test(operator_state, the_layout_prints_as_declared)
{
    static const char want[] = "state     shelf version 3, 352 bytes a key and 0 timers\n"
                               "          touched       1 bytes at 0     boolean\n"
                               "          total        16 bytes at 16    numeric\n"
                               "          ranks       128 bytes at 32    deque of bigint, ascending\n"
                               "          entries      16 bytes at 160   list of entry {amount numeric, size integer, "
                               "note label}, 48 bytes each\n"
                               "          tallies      16 bytes at 176   map from word_key {word name, kind integer} "
                               "to tally {sum numeric, last "
                               "timestamp, count integer}, 68 + 32 bytes each\n"
                               "          times       128 bytes at 192   deque of timestamp, ascending\n"
                               "          latest        8 bytes at 320   timestamp\n"
                               "          last_word    16 bytes at 328   label\n";
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    tg_layout_print(&tg_operator_shelves, "", out);
    (void)fclose(out);
    cr_assert_str_eq(text, want, "%s", text);
    free(text);
}

Test(operator_state, kept_texts_are_whole_or_refused)
{
    tg_label label = {.data = "before", .bytes = 6};
    cr_assert_not(tg_keep(&label, ((tg_text){.data = "sixteen letters!", .bytes = 16})));
    cr_assert_eq(tg_kept(&label).bytes, 6, "a refused text changes nothing");
    cr_assert(tg_keep(&label, ((tg_text){.data = "ab", .bytes = 2})));
    tg_label other = {0};
    cr_assert(tg_keep(&other, ((tg_text){.data = "ab", .bytes = 2})));
    cr_assert_eq(memcmp(&label, &other, sizeof label), 0, "equal texts are equal bytes");
    cr_assert(tg_keep(&label, ((tg_text){0})));
    cr_assert_eq(tg_kept(&label).bytes, 0);
}
