/* turgo gen: test data to standard output, to files that a replay reads, or into a topic. The last line is a summary as
 * JSON: on standard output, unless the records go there. */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/timestamp.h"
#include "engine/config/suggest.h"
#include "tools/gen_topic.h"
#include "tools/report.h"
#include "tools/verbs.h"

enum {
    FILES_MAX = 1024,
    FILE_BUFFER_BYTES = 1 << 16,
    MILLION = 1000000,
    COUNT_DEFAULT = 4000000,
    COUNT_ON_TERMINAL = 10,
    PARTITIONS_DEFAULT = 4
};

static const char help_text[] =
    "usage: turgo gen [options]\n"
    "Make test data: to standard output, or --out DIR, or --brokers B --topic T.\n\n"
    "  --kind KIND        tx (default), bench_tx, bench_clicks\n"
    "  --count N          records; default: endless with --rate, 10 on a terminal, else 4000000\n"
    "  --rate N           records a second; default: as fast as possible\n"
    "  --seed N           same seed, same records (42)\n"
    "tx:\n"
    "  --keys N           different users (100)\n"
    "  --skew S           Zipf exponent of the users, 0 = all alike (0)\n"
    "  --ids              write a transactionId\n"
    "  --disorder D       event time up to this much back, e.g. 3s (0)\n"
    "  --late P           share 6 to 16 minutes late (0)\n"
    "  --malformed P      share that no decoder should accept (0)\n"
    "  --duplicate P      share that repeats an earlier record; implies --ids (0)\n"
    "  --start T          event time of the first record, RFC 3339, or now (now)\n"
    "bench_tx, bench_clicks:\n"
    "  --span D           event time from the first to the last record (40m)\n"
    "  --jitter D         event time up to this much back (5s)\n"
    "where to:\n"
    "  --out DIR          DIR/p0.jsonl, p1.jsonl, ... (--partitions N, 4)\n"
    "  --brokers B        Kafka; with --topic T\n"
    "  --create           create the topic if it is missing (--partitions N, 4)\n"
    "  --recreate         delete the topic first\n"
    "  --codec C          none (default), lz4, zstd, snappy, gzip\n"
    "  --client NAME=TEXT a setting of the Kafka client; repeats. Password: environment TURGO_KAFKA_PASSWORD\n";

enum where { TO_STDOUT, TO_FILES, TO_TOPIC };

struct gen {
    struct tg_generate_config config;
    enum where where;
    bool has_count;
    bool paced;
    const char *folder;
    FILE *files[FILES_MAX]; /* [partitions]; TO_STDOUT: the first is stdout */
    struct tg_gen_topic_config topic_config;
    struct tg_gen_topic topic;
    struct tg_generator *generators; /* [config.partitions] */
    uint64_t records;
    uint64_t bytes;
    uint64_t faults[4];
    uint64_t begun_ns;
};

static volatile sig_atomic_t interrupted;
static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

/* ---- arguments --------------------------------------------------------------------------------------------------- */

/* 1000, 1k, 2M, 1k/s. */
static bool read_count(const char *text, uint64_t *out)
{
    char *end;
    errno = 0;
    const unsigned long long value = strtoull(text, &end, 10);
    uint64_t scale = 1;
    if (end == text || errno != 0 || text[0] == '-') { return false; }
    if (*end == 'k') { scale = 1000; }
    if (*end == 'M') { scale = MILLION; }
    if (scale != 1) { end++; }
    if (strcmp(end, "/s") == 0) { end += 2; }
    *out = value * scale;
    return *end == '\0' && value <= UINT64_MAX / scale / MILLION;
}

/* Any 64 bits, also 0x... */
static bool read_seed(const char *text, uint64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 0);
    return end != text && *end == '\0' && errno == 0;
}

static bool read_u32(const char *text, uint32_t max, uint32_t *out)
{
    uint64_t value = 0;
    if (!read_count(text, &value) || value < 1 || value > max) { return false; }
    *out = (uint32_t)value;
    return true;
}

static bool read_share(const char *text, uint32_t *ppm)
{
    char *end;
    const double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= 0 && value <= 1)) { return false; }
    *ppm = (uint32_t)lround(value * MILLION);
    return true;
}

static bool read_skew(const char *text, double *out)
{
    char *end;
    *out = strtod(text, &end);
    return end != text && *end == '\0' && *out >= 0 && *out <= 10;
}

static bool read_start(const char *text, tg_ts *out)
{
    const struct tg_clock clock = tg_clock_real();
    *out = tg_clock_wall_us(&clock);
    return strcmp(text, "now") == 0 || tg_ts_parse(text, (uint32_t)strlen(text), NULL, out, NULL);
}

static bool read_kind(const char *text, enum tg_generate_kind *out)
{
    static const char *const names[] = {"tx", "bench_tx", "bench_clicks"};
    for (uint32_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (enum tg_generate_kind)i;
            return true;
        }
    }
    return false;
}

static bool read_setting(char *text, struct tg_gen_topic_config *config)
{
    char *equals = strchr(text, '=');
    if (equals == NULL || config->setting_count == TG_GEN_CLIENT_SETTINGS_MAX) { return false; }
    *equals = '\0';
    config->setting_names[config->setting_count] = text;
    config->setting_texts[config->setting_count] = equals + 1;
    config->setting_count++;
    return true;
}

static const struct option long_options[] = {
    {"kind", 1, NULL, 'k'},     {"count", 1, NULL, 'n'},     {"rate", 1, NULL, 'r'},   {"seed", 1, NULL, 's'},
    {"keys", 1, NULL, 'K'},     {"skew", 1, NULL, 'z'},      {"ids", 0, NULL, 'i'},    {"disorder", 1, NULL, 'd'},
    {"late", 1, NULL, 'l'},     {"malformed", 1, NULL, 'm'}, {"start", 1, NULL, 't'},  {"duplicate", 1, NULL, 'D'},
    {"span", 1, NULL, 'S'},     {"jitter", 1, NULL, 'j'},    {"out", 1, NULL, 'o'},    {"partitions", 1, NULL, 'p'},
    {"brokers", 1, NULL, 'b'},  {"topic", 1, NULL, 'T'},     {"create", 0, NULL, 'c'}, {"recreate", 0, NULL, 'R'},
    {"codec", 1, NULL, 'C'},    {"client", 1, NULL, 'X'},    {"help", 0, NULL, 'h'},   {NULL, 0, NULL, 0},
};

/* One option; false when its value is wrong. */
static bool read_option(struct gen *gen, int option, char *text)
{
    struct tg_generate_config *config = &gen->config;
    switch (option) {
    case 'k': return read_kind(text, &config->kind);
    case 'n': gen->has_count = true; return read_count(text, &config->count) && config->count > 0;
    case 'r': gen->paced = true; return read_count(text, &config->rate) && config->rate > 0;
    case 's': return read_seed(text, &config->seed);
    case 'K': return read_u32(text, UINT32_MAX, &config->keys);
    case 'z': return read_skew(text, &config->skew);
    case 'i': config->ids = true; return true;
    case 'd': return tg_duration_parse(text, &config->disorder) && config->disorder >= 0;
    case 'l': return read_share(text, &config->late_ppm);
    case 'm': return read_share(text, &config->malformed_ppm);
    case 'D': config->ids = true; return read_share(text, &config->duplicate_ppm);
    case 't': return read_start(text, &config->start);
    case 'S': return tg_duration_parse(text, &config->span) && config->span >= 0;
    case 'j': return tg_duration_parse(text, &config->jitter) && config->jitter >= 0 && config->jitter < UINT32_MAX;
    case 'o': gen->folder = text; return true;
    case 'p': return read_u32(text, FILES_MAX, &gen->topic_config.partitions);
    case 'b': gen->topic_config.brokers = text; return true;
    case 'T': gen->topic_config.topic = text; return true;
    case 'c': gen->topic_config.create = true; return true;
    case 'R': gen->topic_config.recreate = true; return true;
    case 'C': gen->topic_config.codec = text; return true;
    case 'X': return read_setting(text, &gen->topic_config);
    default: return false;
    }
}

/* What is wrong between the options; NULL = nothing. */
static const char *options_check(const struct gen *gen)
{
    const struct tg_generate_config *config = &gen->config;
    const bool has_topic = gen->topic_config.topic != NULL;
    if ((gen->topic_config.brokers != NULL) != has_topic) { return "--brokers and --topic go together"; }
    if (has_topic && gen->folder != NULL) { return "either --out or --topic"; }
    if (!has_topic && (gen->topic_config.create || gen->topic_config.recreate)) { return "--create needs --topic"; }
    if ((uint64_t)config->late_ppm + config->malformed_ppm + config->duplicate_ppm > MILLION) {
        return "--late, --malformed and --duplicate add up to more than 1";
    }
    if (config->kind == TG_GENERATE_TX && gen->folder != NULL && config->keys < gen->topic_config.partitions) {
        return "fewer --keys than --partitions: a user lives in one of them";
    }
    return NULL;
}

/* What getopt could not take; returns the exit code. */
static int option_wrong(const char *given, bool needs_value)
{
    char what[160];
    char hint[160];
    if (needs_value) {
        (void)snprintf(what, sizeof what, "%.80s needs a value", given);
        return tg_usage_error(what, "see turgo gen --help");
    }
    const char *names[sizeof long_options / sizeof long_options[0]];
    uint32_t count = 0;
    for (; long_options[count].name != NULL; count++) { names[count] = long_options[count].name; }
    const char *near = tg_suggest(given + strspn(given, "-"), count, names);
    (void)snprintf(what, sizeof what, "turgo gen has no flag %.80s", given);
    (void)snprintf(hint, sizeof hint, "%s%s%sturgo gen --help lists its flags", near != NULL ? "did you mean --" : "",
                   near != NULL ? near : "", near != NULL ? "?   " : "");
    return tg_usage_error(what, hint);
}

/* 0 = go on, else the exit code + 1 (help is 0 + 1). */
static int options_read(struct gen *gen, int argc, char **argv)
{
    const struct tg_clock clock = tg_clock_real();
    gen->config = (struct tg_generate_config){.kind = TG_GENERATE_TX, .partitions = 1, .seed = 42, .keys = 100,
                                              .start = tg_clock_wall_us(&clock), .span = 2400LL * MILLION,
                                              .jitter = 5LL * MILLION};
    gen->topic_config = (struct tg_gen_topic_config){.codec = "none", .partitions = PARTITIONS_DEFAULT,
                                                     .password = getenv("TURGO_KAFKA_PASSWORD")};
    optind = 1;
    for (;;) {
        int index = -1;
        const int option = getopt_long(argc, argv, ":", long_options, &index);
        if (option == -1) { break; }
        if (option == 'h') {
            (void)fputs(help_text, stdout);
            return 1;
        }
        if (option == '?' || option == ':') { return option_wrong(argv[optind - 1], option == ':') + 1; }
        if (!read_option(gen, option, optarg)) {
            char what[200];
            (void)snprintf(what, sizeof what, "wrong value \"%.80s\" for --%s", optarg, long_options[index].name);
            return tg_usage_error(what, "see turgo gen --help") + 1;
        }
    }
    const char *wrong = optind < argc ? "arguments that are no options" : options_check(gen);
    if (wrong != NULL) { return tg_usage_error(wrong, "see turgo gen --help") + 1; }
    gen->where = gen->topic_config.topic != NULL ? TO_TOPIC : (gen->folder != NULL ? TO_FILES : TO_STDOUT);
    if (!gen->has_count && (!gen->paced || gen->config.kind != TG_GENERATE_TX)) {
        const bool to_terminal = gen->where == TO_STDOUT && isatty(STDOUT_FILENO) == 1;
        gen->config.count = to_terminal ? COUNT_ON_TERMINAL : COUNT_DEFAULT;
    }
    /* tx deals users to files; the bench kinds are one sequence, a file takes the keys that hash to it. */
    if (gen->where == TO_FILES && gen->config.kind == TG_GENERATE_TX) {
        gen->config.partitions = gen->topic_config.partitions;
    }
    return 0;
}

/* ---- outputs ----------------------------------------------------------------------------------------------------- */

static tg_status files_open(struct gen *gen, struct tg_error *err)
{
    if (mkdir(gen->folder, 0777) != 0 && errno != EEXIST) {
        return tg_fail(err, TG1502, errno, "create folder %s", gen->folder);
    }
    for (uint32_t i = 0; i < gen->topic_config.partitions; i++) {
        char path[4096];
        (void)snprintf(path, sizeof path, "%s/p%u.jsonl", gen->folder, i);
        gen->files[i] = fopen(path, "we");
        if (gen->files[i] == NULL) { return tg_fail(err, TG1502, errno, "create %s", path); }
        (void)setvbuf(gen->files[i], NULL, _IOFBF, FILE_BUFFER_BYTES);
    }
    return TG_OK;
}

static tg_status output_open(struct gen *gen, struct tg_error *err)
{
    if (gen->where == TO_TOPIC) { return tg_gen_topic_open(&gen->topic, &gen->topic_config, err); }
    if (gen->where == TO_FILES) { return files_open(gen, err); }
    gen->files[0] = stdout;
    (void)setvbuf(stdout, NULL, _IOFBF, FILE_BUFFER_BYTES);
    return TG_OK;
}

static tg_status output_write(struct gen *gen, uint32_t partition, char *record, const struct tg_generated *made,
                              struct tg_error *err)
{
    if (gen->where == TO_TOPIC) { return tg_gen_topic_write(&gen->topic, record, made, err); }
    if (gen->where == TO_FILES && gen->config.kind != TG_GENERATE_TX) {
        partition = tg_generate_partition(made->key, made->key_bytes, gen->topic_config.partitions);
    }
    record[made->bytes] = '\n';
    if (fwrite(record, 1, made->bytes + 1, gen->files[partition]) != made->bytes + 1) {
        return tg_fail(err, TG1502, errno, "write records");
    }
    return TG_OK;
}

/* Bring out what is buffered, so that a reader of a paced run sees it in time. */
static void output_nudge(struct gen *gen)
{
    if (gen->where == TO_TOPIC) {
        (void)rd_kafka_poll(gen->topic.client.rk, 0);
        return;
    }
    if (!gen->paced) { return; }
    for (uint32_t i = 0; i < FILES_MAX && gen->files[i] != NULL; i++) { (void)fflush(gen->files[i]); }
}

static tg_status output_finish(struct gen *gen, struct tg_error *err)
{
    tg_status status = TG_OK;
    if (gen->where == TO_TOPIC) { return tg_gen_topic_finish(&gen->topic, err); }
    for (uint32_t i = 0; i < FILES_MAX && gen->files[i] != NULL; i++) {
        if (fflush(gen->files[i]) != 0) { status = tg_fail(err, TG1502, errno, "write records"); }
    }
    return status;
}

static void output_close(struct gen *gen)
{
    if (gen->where == TO_TOPIC) { tg_gen_topic_close(&gen->topic); }
    for (uint32_t i = 0; gen->where == TO_FILES && i < FILES_MAX && gen->files[i] != NULL; i++) {
        (void)fclose(gen->files[i]);
    }
}

/* ---- the loop ---------------------------------------------------------------------------------------------------- */

static uint64_t now_ns(void)
{
    const struct tg_clock clock = tg_clock_real();
    return tg_clock_now_ns(&clock);
}

/* Paced: sleep until the schedule reaches `due`. */
static void wait_until(struct gen *gen, tg_ts due)
{
    const int64_t at_ns = (due - gen->config.start) * 1000;
    const int64_t wait_ns = at_ns - (int64_t)(now_ns() - gen->begun_ns);
    if (wait_ns <= 0) { return; }
    output_nudge(gen);
    const struct timespec pause = {.tv_sec = wait_ns / 1000000000, .tv_nsec = wait_ns % 1000000000};
    (void)nanosleep(&pause, NULL); /* a signal ends it early, and the loop looks at `interrupted` */
}

static tg_status generate(struct gen *gen, struct tg_error *err)
{
    enum { NUDGE_EVERY = 1024 };
    char record[TG_GENERATE_BYTES_MAX + 1];
    struct tg_generated made;
    uint32_t ended = 0;
    while (ended < gen->config.partitions && interrupted == 0) {
        ended = 0;
        for (uint32_t i = 0; i < gen->config.partitions && interrupted == 0; i++) {
            struct tg_generator *generator = &gen->generators[i];
            const tg_ts due = tg_generator_due(generator);
            if (gen->paced && due != TG_TS_MAX) { wait_until(gen, due); }
            if (!tg_generator_next(generator, record, &made)) {
                ended++;
                continue;
            }
            const tg_status status = output_write(gen, i, record, &made, err);
            if (status != TG_OK) { return status; }
            gen->bytes += made.bytes;
            gen->faults[made.fault]++;
            if ((++gen->records % NUDGE_EVERY) == 0) { output_nudge(gen); }
        }
    }
    return TG_OK;
}

static void summary_print(const struct gen *gen, double seconds)
{
    static const char *const kinds[] = {"tx", "bench_tx", "bench_clicks"};
    FILE *out = gen->where == TO_STDOUT ? stderr : stdout;
    (void)fprintf(out,
                  "{\"kind\":\"%s\",\"records\":%llu,\"value_bytes\":%llu,\"seconds\":%.3f,\"late\":%llu,"
                  "\"malformed\":%llu,\"duplicate\":%llu,\"seed\":%llu",
                  kinds[gen->config.kind], (unsigned long long)gen->records, (unsigned long long)gen->bytes, seconds,
                  (unsigned long long)gen->faults[TG_GENERATE_LATE],
                  (unsigned long long)gen->faults[TG_GENERATE_MALFORMED],
                  (unsigned long long)gen->faults[TG_GENERATE_DUPLICATE], (unsigned long long)gen->config.seed);
    if (gen->where == TO_TOPIC) {
        (void)fprintf(out, ",\"topic\":\"%s\",\"confirmed\":%llu,\"errors\":%llu", gen->topic_config.topic,
                      (unsigned long long)gen->topic.confirmed, (unsigned long long)gen->topic.errors);
    }
    (void)fputs("}\n", out);
    (void)fflush(out);
}

static tg_status gen_run(struct gen *gen, struct tg_error *err)
{
    tg_status status = output_open(gen, err);
    if (status == TG_OK) {
        for (uint32_t i = 0; i < gen->config.partitions; i++) {
            tg_generator_init(&gen->generators[i], &gen->config, i);
        }
        gen->begun_ns = now_ns();
        status = generate(gen, err);
        if (status == TG_OK) { status = output_finish(gen, err); }
        if (status == TG_OK) { summary_print(gen, (double)(now_ns() - gen->begun_ns) / 1e9); }
    }
    output_close(gen);
    return status;
}

int tg_verb_gen(int argc, char **argv)
{
    static struct gen gen;
    gen = (struct gen){0};
    const int stop = options_read(&gen, argc, argv);
    if (stop != 0) { return stop - 1; }
    (void)signal(SIGINT, on_signal);
    (void)signal(SIGTERM, on_signal);
    struct tg_error err = {0};
    gen.generators = calloc(gen.config.partitions, sizeof *gen.generators);
    tg_status status = gen.generators == NULL ? tg_fail(&err, TG1601, ENOMEM, "memory for the generators")
                                              : gen_run(&gen, &err);
    free(gen.generators);
    if (status != TG_OK) { (void)fprintf(stderr, "error TG%d %s\n", (int)err.code, err.text); }
    return tg_exit_code(status);
}
