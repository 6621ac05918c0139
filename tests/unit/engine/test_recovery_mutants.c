/* Damaged checkpoint directories by the thousand. Every byte of the newest checkpoint's manifest and files is flipped,
 * every length is tried, and at random sectors change places, come from other files, are zeroed or made up. A start
 * must then choose exactly the newest checkpoint that has nothing to do with the damaged file, and read of it, record
 * by record, what was written; or refuse, when an older one would write rows again. */
#include "base/crc32c.h"
#include "tests/manifest_equal.h"
#include "tests/unit/engine/recovery_fixture.h"

enum { EPOCHS = 5, FILES_MAX = 3 * EPOCHS, RANDOM_MUTANTS = 2000, MUTANTS_MIN = 10000, SECTOR = 64, WHAT_BYTES = 160 };

/* A file of the directory, and the newest checkpoint that is whole without it. */
struct original {
    char name[TG_STORE_NAME_BYTES];
    uint8_t *data;
    uint32_t bytes;
    uint64_t without; /* 0 = none */
};

static struct tg_manifest written[EPOCHS + 1];
static uint32_t digests[EPOCHS + 1];
static struct original originals[FILES_MAX];
static uint32_t original_count;
static uint32_t chosen_older;
static uint32_t refused;
static uint32_t unchanged;

static void full_name(const char *name, char out[256]) { (void)snprintf(out, 256, "%s/%.63s", path, name); }
static uint8_t *read_file(const char *name, uint32_t *bytes)
{
    char file[256];
    full_name(name, file);
    const int fd = open(file, O_RDONLY);
    cr_assert_geq(fd, 0, "%s", file);
    uint8_t *data = maker_alloc(&maker, 1 << 16);
    const ssize_t count = read(fd, data, 1 << 16);
    cr_assert(count > 0 && count < 1 << 16);
    cr_assert_eq(close(fd), 0);
    *bytes = (uint32_t)count;
    return data;
}
static void write_file(const char *name, const uint8_t *data, uint32_t bytes)
{
    char file[256];
    full_name(name, file);
    const int fd = open(file, O_RDWR | O_CREAT | O_TRUNC, 0666);
    cr_assert_geq(fd, 0, "%s", file);
    cr_assert_eq(write(fd, data, bytes), (ssize_t)bytes);
    cr_assert_eq(close(fd), 0);
}

/* A checksum of all records of a checkpoint, in order. */
static uint32_t digest_of(const struct tg_manifest *manifest)
{
    uint32_t crc = 0;
    for (uint32_t i = 0; i < manifest->file_count; i++) {
        struct tg_recovery_file file;
        struct tg_state_record record;
        int more = tg_recovery_file_open(&store, manifest, i, &file, &err) == TG_OK ? 1 : -1;
        while (more > 0 && (more = tg_state_reader_next(&file.reader, &record, &err)) > 0) {
            const uint32_t head[4] = {record.op, record.table, record.key.bytes, record.value_bytes};
            crc = tg_crc32c(crc, head, sizeof head);
            crc = tg_crc32c(crc, record.key.data, record.key.bytes);
            if (record.value_bytes != 0) { crc = tg_crc32c(crc, record.value, record.value_bytes); }
        }
        cr_assert_eq(more, 0, "seed %" PRIu64 ": %s", seed, err.text);
        tg_recovery_file_close(&file);
    }
    return crc;
}

static void remember(const char *name, uint64_t without)
{
    struct original *original = &originals[original_count++];
    (void)snprintf(original->name, sizeof original->name, "%s", name);
    original->data = read_file(name, &original->bytes);
    original->without = without;
}

/* Bases 1 and 4, deltas 2, 3 and 5; what belongs to 4 and 5 is damaged, what is older is there to be taken from. */
static void make_checkpoints(void)
{
    char name[TG_STORE_NAME_BYTES];
    for (uint64_t epoch = 1; epoch <= EPOCHS; epoch++) {
        bool decided;
        cr_assert_eq(world_checkpoint(&world, &store, epoch, &decided, &err), TG_OK, "%s", err.text);
        written[epoch] = world_manifest(&world, epoch);
        digests[epoch] = digest_of(&written[epoch]);
    }
    original_count = 0;
    remember("MANIFEST-5", 4);
    for (uint32_t shard = 0; shard < 2; shard++) {
        tg_store_file_name(5, shard, false, name);
        remember(name, 4);
        tg_store_file_name(4, shard, true, name);
        remember(name, 3);
    }
}

static void begin(void)
{
    recovery_begin();
    world.records = 4;
    chosen_older = refused = unchanged = 0;
}
TestSuite(recovery_mutants, .init = begin, .fini = recovery_end, .timeout = 600);

static tg_status choose_strictly(struct tg_recovery_wanted *wanted)
{
    wanted->transactional = world.commits;
    return choose(wanted);
}

/* What a start makes of the directory when `original` is as it was (`same`) or is not. */
static void judge(const struct original *original, bool same, const char *what)
{
    struct tg_recovery_wanted wanted = world_wanted(&world);
    tg_status status = choose_strictly(&wanted);
    if (world.commits && !same) { /* rows of the newest checkpoint may be outside */
        cr_assert(status != TG_OK && err.code == TG1518, "seed %" PRIu64 ", %s, %s: TG%d %s", seed, original->name,
                  what, (int)err.code, err.text);
        refused++;
        wanted.accept_duplicates = true;
        status = choose_strictly(&wanted);
    }
    const uint64_t expected = same ? EPOCHS : original->without;
    cr_assert_eq(status, TG_OK, "seed %" PRIu64 ", %s, %s: %s", seed, original->name, what, err.text);
    cr_assert(choice.found && choice.epoch == expected, "seed %" PRIu64 ", %s, %s: chose %" PRIu64, seed,
              original->name, what, choice.epoch);
    cr_assert(manifest_equal(&choice.manifest, &written[expected]), "seed %" PRIu64 ", %s, %s", seed, original->name,
              what);
    cr_assert_eq(digest_of(&choice.manifest), digests[expected], "seed %" PRIu64 ", %s, %s", seed, original->name,
                 what);
    chosen_older += !same;
    unchanged += same;
}

/* data[bytes] instead of the file; then the file as it was. */
static void try_instead(const struct original *original, const uint8_t *data, uint32_t bytes, const char *what)
{
    write_file(original->name, data, bytes);
    judge(original, bytes == original->bytes && memcmp(data, original->data, bytes) == 0, what);
}

static void flip_every_byte(const struct original *original)
{
    char what[WHAT_BYTES];
    uint8_t *copy = maker_alloc(&maker, original->bytes);
    memcpy(copy, original->data, original->bytes);
    for (uint32_t at = 0; at < original->bytes; at++) {
        const uint8_t bit = (uint8_t)(1u << maker_below(&maker, 8));
        (void)snprintf(what, sizeof what, "byte %" PRIu32 " xor %u", at, bit);
        copy[at] ^= bit;
        try_instead(original, copy, original->bytes, what);
        copy[at] ^= bit;
    }
    write_file(original->name, original->data, original->bytes);
}
static void cut_everywhere(const struct original *original)
{
    char what[WHAT_BYTES];
    for (uint32_t bytes = 0; bytes < original->bytes; bytes++) {
        (void)snprintf(what, sizeof what, "cut to %" PRIu32, bytes);
        try_instead(original, original->data, bytes, what);
    }
    write_file(original->name, original->data, original->bytes);
}

static uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }

/* One of the ways disks and people have. Returns the new length. */
static uint32_t damage_somehow(const struct original *original, uint8_t *copy, char what[WHAT_BYTES])
{
    static const char *const ways[] = {
        "zeroed tail",          "swapped sectors", "doubled sector", "sector of another file",
        "other file behind at", "made up",         "cut out",        "grown"};
    const struct original *other = &originals[maker_below(&maker, original_count)];
    const uint32_t way = maker_below(&maker, 8), bytes = original->bytes;
    const uint32_t at = maker_below(&maker, bytes), to = maker_below(&maker, bytes);
    const uint32_t length = least(SECTOR, bytes - (at > to ? at : to));
    uint8_t sector[SECTOR];
    memcpy(copy, original->data, bytes);
    memcpy(sector, copy + at, length);
    (void)snprintf(what, WHAT_BYTES, "%s %" PRIu32 " %" PRIu32 " %.63s", ways[way], at, to, other->name);
    switch (way) {
    case 0: memset(copy + at, 0, bytes - at); return bytes;
    case 1:
        memcpy(copy + at, original->data + to, length);
        memcpy(copy + to, sector, length);
        return bytes;
    case 2: memcpy(copy + to, sector, length); return bytes;
    case 3:
        if (other->bytes > at) { memcpy(copy + at, other->data + at, least(length, other->bytes - at)); }
        return bytes;
    case 4:
        if (other->bytes <= at) { return bytes; }
        memcpy(copy + at, other->data + at, other->bytes - at);
        return other->bytes;
    case 5:
        for (uint32_t i = at; i < at + length; i++) { copy[i] = (uint8_t)tg_prng_next(&maker.prng); }
        return bytes;
    case 6: memmove(copy + at, copy + at + length, bytes - at - length); return bytes - length;
    default: memset(copy + bytes, (int)maker_below(&maker, 256), at + 1); return bytes + at + 1;
    }
}

/* Every file that was ever written under the name of every file. */
static void exchange_files(void)
{
    char what[WHAT_BYTES], name[TG_STORE_NAME_BYTES];
    for (uint64_t epoch = 1; epoch <= EPOCHS; epoch++) {
        for (uint32_t i = 0; i < 3; i++) {
            const bool is_base = epoch == 1 || epoch == 4;
            if (i < 2) { tg_store_file_name(epoch, i, is_base, name); }
            if (i == 2) { (void)snprintf(name, sizeof name, "MANIFEST-%" PRIu64, epoch); }
            uint32_t bytes;
            const uint8_t *data = read_file(name, &bytes);
            (void)snprintf(what, sizeof what, "it is %.63s", name);
            for (uint32_t j = 0; j < original_count; j++) {
                try_instead(&originals[j], data, bytes, what);
                write_file(originals[j].name, originals[j].data, originals[j].bytes);
            }
        }
    }
}

static void remove_each(void)
{
    for (uint32_t i = 0; i < original_count; i++) {
        char file[256];
        full_name(originals[i].name, file);
        cr_assert_eq(unlink(file), 0);
        if (i > 0) { judge(&originals[i], false, "gone"); } /* without its manifest there is no checkpoint */
        write_file(originals[i].name, originals[i].data, originals[i].bytes);
    }
}

static void random_mutants(uint32_t count)
{
    char what[WHAT_BYTES];
    uint8_t *copy = maker_alloc(&maker, 1 << 17); /* twice the longest file */
    for (uint32_t i = 0; i < count; i++) {
        const struct original *original = &originals[maker_below(&maker, original_count)];
        const uint32_t bytes = damage_somehow(original, copy, what);
        try_instead(original, copy, bytes, what);
        write_file(original->name, original->data, original->bytes);
    }
}

Test(recovery_mutants, a_start_takes_the_newest_whole_checkpoint_and_no_other_content)
{
    make_checkpoints();
    for (uint32_t i = 0; i < original_count; i++) {
        flip_every_byte(&originals[i]);
        cut_everywhere(&originals[i]);
    }
    exchange_files();
    remove_each();
    random_mutants(RANDOM_MUTANTS);
    while (chosen_older < MUTANTS_MIN) { random_mutants(100); }
    (void)fprintf(stderr,
                  "%" PRIu32 " mutants of %" PRIu32 " files: an older checkpoint was chosen, whole; %" PRIu32
                  " changed nothing\n",
                  chosen_older, original_count, unchanged);
}

Test(recovery_mutants, where_rows_may_be_outside_every_one_is_refused)
{
    world.commits = true;
    make_checkpoints();
    for (uint32_t i = 1; i < original_count; i++) { flip_every_byte(&originals[i]); }
    exchange_files();
    (void)fprintf(stderr, "%" PRIu32 " mutants: refused, and with duplicates accepted an older one was chosen, whole\n",
                  refused);
    cr_assert_geq(refused, 1000);
}
