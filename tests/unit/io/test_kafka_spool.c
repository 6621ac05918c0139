/* The spool of rows on their way to Kafka, against a plain list of what was put in. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/prng.h"
#include "io/kafka/spool.h"
#include "tests/seed.h"

enum { SLOTS = 64, CAPACITY = 4096, STEPS = 200000, ROW_MAX = 900 };

/* Write a row of `bytes` bytes, all `fill`; NULL = no room. */
static struct tg_kafka_slot *put_row(struct tg_kafka_spool *spool, uint32_t bytes, char fill)
{
    char row[ROW_MAX];
    memset(row, fill, bytes);
    for (int attempt = 0; attempt < 2; attempt++) {
        struct tg_writer writer = tg_kafka_spool_claim(spool, attempt == 1);
        if (writer.data == NULL) { continue; }
        tg_write_bytes(&writer, row, bytes);
        if (!writer.overflow) { return tg_kafka_spool_commit(spool, &writer, bytes / 3, 0); }
    }
    return NULL;
}

Test(kafka_spool, rows_keep_their_bytes_until_they_are_confirmed_in_any_order)
{
    const uint64_t seed = tg_test_seed();
    struct tg_prng prng = {seed};
    struct tg_arena arena;
    struct tg_kafka_spool spool;
    struct tg_error err = {0};
    cr_assert_eq(tg_arena_open(&arena, tg_kafka_spool_bytes(SLOTS, CAPACITY) + 4096, &err), TG_OK);
    cr_assert_eq(tg_kafka_spool_init(&spool, SLOTS, CAPACITY, &arena, &err), TG_OK);
    struct { uint32_t bytes; char fill; } model[SLOTS]; /* by position mod SLOTS */
    uint64_t refused = 0, wrapped = 0;
    for (uint32_t step = 0; step < STEPS; step++) {
        if (tg_prng_below(&prng, 2) == 0) {
            const uint32_t bytes = 1 + tg_prng_below(&prng, tg_prng_below(&prng, 4) == 0 ? ROW_MAX : 60);
            const char fill = (char)('a' + step % 26);
            const struct tg_kafka_slot *slot = put_row(&spool, bytes, fill);
            if (slot == NULL) {
                refused++;
                cr_assert(tg_kafka_spool_count(&spool) > 0, "seed %lu: an empty spool takes any row",
                          (unsigned long)seed);
            } else {
                wrapped += slot->end - slot->begin != bytes;
                cr_assert_eq(slot->key_bytes, bytes / 3);
                cr_assert_eq(slot->value_bytes, bytes - bytes / 3);
                model[(spool.next - 1) % SLOTS].bytes = bytes;
                model[(spool.next - 1) % SLOTS].fill = fill;
                if (tg_prng_below(&prng, 50) == 0) { tg_kafka_spool_undo(&spool); }
            }
        } else if (tg_kafka_spool_count(&spool) > 0) {
            const uint64_t any = spool.first + tg_prng_next(&prng) % tg_kafka_spool_count(&spool);
            tg_kafka_spool_slot(&spool, any)->state = TG_KAFKA_SLOT_CONFIRMED;
            (void)tg_kafka_spool_trim(&spool);
        }
        for (uint64_t at = spool.first; step % 16 == 0 && at < spool.next; at++) {
            const struct tg_kafka_slot *slot = tg_kafka_spool_slot(&spool, at);
            cr_assert_eq(slot->key_bytes + slot->value_bytes, model[at % SLOTS].bytes);
            for (uint32_t i = 0; i < model[at % SLOTS].bytes; i++) {
                cr_assert_eq((char)slot->data[i], model[at % SLOTS].fill, "seed %lu step %u", (unsigned long)seed,
                             step);
            }
        }
    }
    cr_assert_gt(refused, 100);
    cr_assert_gt(wrapped, 100);
    tg_arena_close(&arena);
}
