/* Loading a checkpoint, by whole jobs: what a start makes of files of as many and of other numbers of shards, of other
 * tables, of too many keys, and of what breaks between verifying and loading. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "engine/checkpoint/checkpoint.h"
#include "engine/runtime.h"
#include "engine/turgo.h"

/* ---- the operator: keeps the times of a key's rows --------------------------------------------------------------- */

#define SEEN(F) F(timestamp, at)
#define KEPT(F) F(deque_timestamp, times)
#define KEPT_WIDER(F) F(deque_timestamp, times) F(bigint, more)
#define KEPT_OTHERWISE(F) F(boolean, times)
#define NOTHING(F) F(boolean, unused)
TG_RECORD(seen, SEEN)
TG_STATE(kept, KEPT, 1)
TG_STATE(kept_wider, KEPT_WIDER, 1)
TG_STATE(kept_otherwise, KEPT_OTHERWISE, 1)
TG_PARAMS(nothing, NOTHING)

static tg_result on_seen(tg_ctx *c, const seen *e, kept *s, const nothing *p)
{
    (void)p;
    if (!tg_deque_insert(c, &s->times, e->at)) { return tg_state_full(c); }
    tg_emit(c, seen, .at = e->at);
    return TG_ROW_OK;
}
static tg_result on_timer(tg_ctx *c, uint32_t timer, kept *s, const nothing *p)
{
    (void)c;
    (void)timer;
    (void)s;
    (void)p;
    return TG_ROW_OK;
}
TG_OPERATOR(keeper, seen, kept, nothing, on_seen, on_timer, .outputs = TG_OUTPUTS(TG_OUTPUT(seen)), .output_count = 1,
            .revision = TG_REVISION_EVENT_TIME);
static struct tg_operator op; /* its state changes from life to life */

/* ---- the job ----------------------------------------------------------------------------------------------------- */

static const char job_text[] =
    "job: loads\n"
    "state_dir: %s/state\n"
    "engine: {shards: %u, max_keys: %u, max_state: %s}\n"
    "checkpoint: {every: 1h}\n"
    "sources:\n"
    "  tx:\n"
    "    file: {path: %s/in}\n"
    "    decode: json\n"
    "    fields: {user: {type: text, required: true}, id: text, at: timestamp}\n"
    "    event_time: at\n"
    "    watermark: {delay: 15s, idle_after: 1h, max_skew: off}\n"
    "    partitioned_by: [user]\n"
    "%s"
    "steps:\n"
    "  counts: {process: {operator: keeper, from: tx, key: [user], params: {unused: true}}}\n"
    "  again: {process: {operator: keeper, from: counts, key: [user], params: {unused: true}}}\n"
    "sinks:\n"
    "  out: {from: again, \"null\": {}}\n"
    "dead_letters: {\"null\": {}}\n"
    "late: {\"null\": {}}\n";
static const char dedupe[] = "    dedupe: {by: id, per: [user], ttl: 30s}\n";

enum { USERS = 100, PARTITIONS = 2 };

/* One life of the job. */
struct life {
    uint32_t shards;
    uint32_t max_keys;     /* 0 = 1000 */
    const char *max_state; /* NULL = 64MiB */
    bool no_dedupe;
};

static char folder[64];
static struct tg_error err;

static FILE *open_file(const char *name, const char *mode)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, mode);
    cr_assert_not_null(file, "%s", path);
    return file;
}

static void begin(void)
{
    char command[128];
    (void)snprintf(folder, sizeof folder, "%s/turgo-load-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    cr_assert_not_null(mkdtemp(folder));
    (void)snprintf(command, sizeof command, "mkdir '%s/in'", folder);
    cr_assert_eq(system(command), 0);
    op = tg_operator_keeper;
    tg_operator_register(&op);
}

static void end(void)
{
    char command[128];
    tg_failpoint_reset();
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    cr_assert_eq(system(command), 0);
}
TestSuite(load, .init = begin, .fini = end, .timeout = 300);

/* Records first to last, one a second, each with an id of its own, by turns of all users. */
static void append(uint32_t first, uint32_t last, uint32_t users)
{
    FILE *files[PARTITIONS];
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        char name[32];
        (void)snprintf(name, sizeof name, "in/p%u.jsonl", p);
        files[p] = open_file(name, "a");
    }
    for (uint32_t i = first; i <= last; i++) {
        (void)fprintf(files[i % users % PARTITIONS],
                      "{\"user\":\"u%u\",\"id\":\"i%u\",\"at\":\"2026-03-01T%02u:%02u:%02uZ\"}\n", i % users, i,
                      i / 3600, i / 60 % 60, i % 60);
    }
    for (uint32_t p = 0; p < PARTITIONS; p++) { cr_assert_eq(fclose(files[p]), 0); }
}

/* Until the input ends, and a last checkpoint. */
static tg_status live(struct life life)
{
    static struct tg_findings findings;
    char path[128];
    char report[128];
    FILE *file = open_file("job.yaml", "w");
    (void)fprintf(file, job_text, folder, life.shards, life.max_keys != 0 ? life.max_keys : 1000,
                  life.max_state != NULL ? life.max_state : "64MiB", folder, life.no_dedupe ? "" : dedupe);
    cr_assert_eq(fclose(file), 0);
    (void)snprintf(path, sizeof path, "%s/job.yaml", folder);
    (void)snprintf(report, sizeof report, "%s/report.json", folder);
    const struct tg_job_options options = {.path = path};
    struct tg_job *job = NULL;
    cr_assert_eq(tg_job_load(&job, &options, &findings), TG_OK, "%s", findings.list[0].text);
    const struct tg_run_options run = {
        .until_end = true, .no_drain = true, .quiet = true, .overprovisioned = true, .report_path = report};
    err = (struct tg_error){0};
    const tg_status status = tg_run(job, &run, &err);
    tg_job_destroy(job);
    return status;
}

static void lives(struct life life) { cr_assert_eq(live(life), TG_OK, "%s", err.text); }

static void refuses(struct life life, enum tg_code code, const char *text)
{
    cr_assert_neq(live(life), TG_OK);
    cr_assert_eq(err.code, code, "%s", err.text);
    cr_assert_not_null(strstr(err.text, text), "%s", err.text);
}

/* A number of the last life's report, the first of its name: "keys" are those of the restore. */
static uint64_t reported(const char *name)
{
    static char text[1 << 16];
    char quoted[64];
    FILE *file = open_file("report.json", "r");
    const size_t bytes = fread(text, 1, sizeof text - 1, file);
    cr_assert_eq(fclose(file), 0);
    text[bytes] = '\0';
    (void)snprintf(quoted, sizeof quoted, "\"%s\": ", name);
    const char *found = strstr(text, quoted);
    cr_assert_not_null(found, "%s", name);
    return strtoull(found + strlen(quoted), NULL, 10);
}

/* ---- numbers of shards ------------------------------------------------------------------------------------------- */

Test(load, identities_and_keys_come_back_on_any_number_of_shards)
{
    static const uint32_t shards[] = {2, 2, 3, 3, 1, 4};
    append(0, 200, USERS);
    lives((struct life){.shards = 2});
    uint32_t next = 201;
    for (uint32_t i = 0; i < sizeof shards / sizeof shards[0]; i++) {
        append(next, next + 40, USERS); /* identities of before are forgotten: a delta has their removal */
        lives((struct life){.shards = shards[i]});
        cr_assert_eq(reported("records_in"), 41);
        cr_assert_eq(reported("records_duplicate"), 0);
        cr_assert_eq(reported("keys"), 2 * USERS, "loaded, of both steps");
        append(next + 30, next + 40, USERS); /* once more */
        lives((struct life){.shards = shards[i]});
        cr_assert_eq(reported("records_in"), 11);
        cr_assert_eq(reported("records_duplicate"), 11);
        next += 41;
    }
}

/* ---- room -------------------------------------------------------------------------------------------------------- */

Test(load, too_many_keys_are_refused_with_the_limit_that_would_do)
{
    append(0, 200, USERS);
    lives((struct life){.shards = 1});
    refuses((struct life){.shards = 1, .max_keys = 50}, TG1601, "it was larger when the checkpoint was made");
    refuses((struct life){.shards = 2, .max_keys = 60}, TG1601, "all keys that 1 shard had room for find it again");
    append(201, 300, USERS);
    lives((struct life){.shards = 2});
    refuses((struct life){.shards = 3, .max_keys = 60}, TG1601, "all keys that 2 shards had room for find it again");
    lives((struct life){.shards = 3});
}

/* One key's records, all at one instant: nothing is forgotten. */
static void append_crowd(uint32_t count)
{
    FILE *file = open_file("in/p0.jsonl", "w");
    for (uint32_t i = 0; i < count; i++) {
        (void)fprintf(file, "{\"user\":\"u\",\"id\":\"i%u\",\"at\":\"2026-03-01T00:00:00Z\"}\n", i);
    }
    cr_assert_eq(fclose(file), 0);
}

Test(load, too_much_state_is_not_too_many_keys)
{
    append_crowd(300000);
    lives((struct life){.shards = 1, .no_dedupe = true});
    lives((struct life){.shards = 1, .no_dedupe = true});
    refuses((struct life){.shards = 1, .no_dedupe = true, .max_state = "1MiB"}, TG1601,
            "holds more state than max_state allows");
}

Test(load, too_many_identities_are_not_too_many_keys)
{
    append_crowd(20000);
    lives((struct life){.shards = 1, .max_keys = 100000});
    lives((struct life){.shards = 1, .max_keys = 100000});
    refuses((struct life){.shards = 1, .max_keys = 100}, TG1601, "holds more keys than max_keys allows");
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */

Test(load, state_that_has_another_shape_comes_back_when_it_fits)
{
    append(0, 190, USERS);
    lives((struct life){.shards = 2});
    append(191, 200, USERS);
    lives((struct life){.shards = 2}); /* a chain of two files */
    struct tg_record state = kept_otherwise_record;
    state.name = kept_record.name;
    op.state = &state;
    refuses((struct life){.shards = 2}, TG1519, "times");
    state = kept_wider_record;
    state.name = kept_record.name;
    append(201, 210, USERS);
    lives((struct life){.shards = 2});
    cr_assert_eq(reported("keys"), 2 * USERS);
    lives((struct life){.shards = 2});
    cr_assert_eq(reported("keys"), 2 * USERS);
}

/* ---- what breaks behind the verification ------------------------------------------------------------------------- */

/* Done to the newest checkpoint's file of shard 0 once it is chosen. */
static void (*breaking)(const char *path);
static int visited(void *self, const char *name, uint64_t count)
{
    (void)self;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/state/checkpoints/e1/s0.base", folder);
    if (strcmp(name, "recovery.recommit") == 0 && count == 1) { breaking(path); }
    return 0;
}
static void take_away(const char *path) { cr_assert_eq(unlink(path), 0); }
static void flip(const char *path)
{
    FILE *file = fopen(path, "r+");
    cr_assert_not_null(file);
    cr_assert_eq(fseek(file, 0, SEEK_END), 0);
    const long at = ftell(file) / 2;
    cr_assert_eq(fseek(file, at, SEEK_SET), 0);
    const int byte = fgetc(file);
    cr_assert_eq(fseek(file, at, SEEK_SET), 0);
    cr_assert_neq(fputc(byte ^ 0x40, file), EOF);
    cr_assert_eq(fclose(file), 0);
}

Test(load, what_breaks_between_verifying_and_loading_ends_the_start)
{
    append(0, 200, USERS);
    lives((struct life){.shards = 2});
    cr_assert_eq(tg_failpoint_arm("recovery.load:1:error:EIO", &err), TG_OK);
    refuses((struct life){.shards = 2}, TG1511, "a file of checkpoint 1");
    tg_failpoint_reset();
    breaking = flip;
    tg_failpoint_watch(visited, NULL);
    refuses((struct life){.shards = 2}, TG1512, "e1/s0.base: wrong checksum of a block");
    tg_failpoint_reset();
    char path[128];
    (void)snprintf(path, sizeof path, "%s/state/checkpoints/e1/s0.base", folder);
    flip(path); /* back again */
    breaking = take_away;
    tg_failpoint_watch(visited, NULL);
    refuses((struct life){.shards = 3}, TG1512, "e1/s0.base is missing");
}

/* ---- nothing to load --------------------------------------------------------------------------------------------- */

Test(load, without_a_checkpoint_there_are_no_partitions)
{
    static struct tg_checkpoint none;
    cr_assert_null(tg_checkpoint_partitions(NULL, 0));
    cr_assert_null(tg_checkpoint_partitions(&none, 0));
    cr_assert_eq(tg_checkpoint_load(&none, 0, &err), TG_OK);
}
