/* Lines from the generator, into the folder, the disk and the log. Records become visible in the log one by one when it
 * grows. */
#include "engine/sim/input.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io/generate/generate.h"

enum { PATH_BYTES = 512 };

static tg_status make_directory(const char *path, struct tg_error *err)
{
    if (mkdir(path, 0777) != 0 && errno != EEXIST) { return tg_fail(err, TG1502, errno, "%s", path); }
    return TG_OK;
}

/* All characters of the record's id but the last `keep` become the same. */
static void repeat_id(char *record, uint32_t bytes, uint32_t keep)
{
    static const char name[] = "\"transactionId\":\"";
    char *id = memmem(record, bytes, name, sizeof name - 1);
    if (id == NULL) { return; }
    id += sizeof name - 1;
    uint32_t length = 0;
    while (id + length < record + bytes && (isalnum((unsigned char)id[length]) || id[length] == '-')) { length++; }
    for (uint32_t i = 0; i + keep < length; i++) { id[i] = 'x'; }
}

struct partition {
    const struct tg_sim_options *options;
    struct tg_generator generator;
    uint32_t number;
    struct tg_sim_log *log;
    struct tg_prng prng;
};

/* From one record to the next. A log whose partitions shall be idle grows in bursts. */
static uint64_t pause_ns(struct partition *partition, uint64_t expected)
{
    enum { BURST = 16 };
    const uint64_t mean_ns = partition->options->grow_ns / expected;
    if (partition->options->idle_after == 0) { return tg_prng_next(&partition->prng) % (2 * mean_ns); }
    if (tg_prng_below(&partition->prng, BURST) != 0) { return 0; }
    return tg_prng_next(&partition->prng) % (2 * BURST * mean_ns);
}

/* Write the partition's lines to `out` and append them to the log. */
static void write_lines(struct partition *partition, FILE *out)
{
    const struct tg_sim_options *options = partition->options;
    const uint64_t expected = options->records / options->partitions + 1;
    struct tg_generated info;
    char record[TG_GENERATE_BYTES_MAX];
    uint64_t visible_ns = 0;
    while (tg_generator_next(&partition->generator, record, &info)) {
        for (uint32_t i = 0; i < info.bytes; i++) { /* a record is a line: its own line ends would cut it in two */
            if (record[i] == '\n') { record[i] = ' '; }
        }
        if (options->id_chars != 0) { repeat_id(record, info.bytes, options->id_chars); }
        (void)fwrite(record, 1, info.bytes, out);
        (void)fputc('\n', out);
        if (options->grow_ns > 0) { visible_ns += pause_ns(partition, expected); }
        const struct tg_sim_log_record entry = {.value = record,
                                                .bytes = info.bytes,
                                                .sets_clock = info.fault != TG_GENERATE_MALFORMED,
                                                .visible_ns = visible_ns};
        tg_sim_log_append(partition->log, partition->number, &entry);
    }
}

static tg_status save(const char *path, const char *data, size_t bytes, struct tg_error *err)
{
    FILE *out = fopen(path, "w");
    if (out == NULL) { return tg_fail(err, TG1502, errno, "%s", path); }
    (void)fwrite(data, 1, bytes, out);
    return fclose(out) == 0 ? TG_OK : tg_fail(err, TG1502, errno, "%s", path);
}

static tg_status partition_create(struct partition *partition, const char *dir, struct tg_sim_disk *disk,
                                  struct tg_error *err)
{
    char path[PATH_BYTES];
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    if (out == NULL) { return tg_fail(err, TG1601, errno, "no memory for the input"); }
    write_lines(partition, out);
    (void)fclose(out);
    (void)snprintf(path, sizeof path, "%s/in/" TG_SIM_TOPIC "/p%u.jsonl", dir, partition->number);
    tg_status status = save(path, text, bytes, err);
    (void)snprintf(path, sizeof path, "/in/" TG_SIM_TOPIC "/p%u.jsonl", partition->number);
    const int failed = tg_sim_disk_put(disk, path, text, bytes);
    free(text);
    return status == TG_OK && failed != 0 ? tg_fail(err, TG1502, -failed, "simulated %s", path) : status;
}

tg_status tg_sim_input_make(const struct tg_sim_options *options, const char *dir, struct tg_sim_disk *disk,
                            struct tg_sim_log *log, struct tg_error *err)
{
    const struct tg_generate_config config = {
        .kind = TG_GENERATE_TX,
        .partitions = options->partitions,
        .seed = options->seed,
        .count = options->records,
        .rate = options->rate,
        .start = TG_GENERATE_BENCH_START,
        .keys = options->keys < options->partitions ? options->partitions : options->keys,
        .ids = options->ids,
        .disorder = options->disorder,
        .late_ppm = options->late_ppm,
        .malformed_ppm = options->malformed_ppm,
        .duplicate_ppm = options->duplicate_ppm,
    };
    char path[PATH_BYTES];
    tg_status status = make_directory(dir, err);
    const char *const folders[] = {"in", ("in/" TG_SIM_TOPIC), "out"};
    for (uint32_t i = 0; status == TG_OK && i < 3; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, folders[i]);
        status = make_directory(path, err);
    }
    for (uint32_t p = 0; status == TG_OK && p < options->partitions; p++) {
        struct partition partition = {.options = options, .number = p, .log = log, .prng = {options->seed * 8 + p}};
        tg_generator_init(&partition.generator, &config, p);
        status = partition_create(&partition, dir, disk, err);
    }
    return status;
}
