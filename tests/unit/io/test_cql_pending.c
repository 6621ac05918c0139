/* Pending rows against a plain model: last version wins, one image of a key in flight, flushes end, memory comes back.
 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/prng.h"
#include "io/cassandra/pending.h"
#include "tests/seed.h"

enum { KEYS = 60, ENTRIES = 40, KEY_BYTES = 8, IMAGE_MAX = 700, STEPS = 60000 };

struct model_key {
    int64_t version;     /* of the newest row taken */
    uint32_t salt;       /* its content */
    uint32_t bytes;
    int64_t stored;      /* version the table has */
    uint32_t stored_salt;
    uint64_t rows;       /* taken and not acknowledged */
    uint64_t oldest;     /* sequence of the oldest of them */
};

static void image_of(uint32_t key, uint32_t salt, uint32_t bytes, uint8_t *out)
{
    const uint64_t id = key;
    memcpy(out, &id, KEY_BYTES);
    for (uint32_t i = KEY_BYTES; i < bytes; i++) { out[i] = (uint8_t)(salt * 31 + i); }
}

static void expect_content(const uint8_t *image, uint32_t bytes, uint32_t salt)
{
    for (uint32_t i = KEY_BYTES; i < bytes; i++) { cr_assert_eq(image[i], (uint8_t)(salt * 31 + i)); }
}

struct flight {
    uint32_t entry;
    uint32_t key;
    int64_t version;
    uint32_t salt;
};

struct world {
    struct tg_arena arena;
    struct tg_cql_pending pending;
    struct model_key keys[KEYS];
    uint32_t salts[STEPS + 1]; /* by version */
    struct flight flights[ENTRIES];
    uint32_t flight_count;
    uint64_t now_ns;
    uint64_t refused;
    uint64_t acknowledged_rows;
    uint64_t taken_rows;
};

static void put(struct world *w, struct tg_prng *prng, int64_t version)
{
    const uint32_t key = tg_prng_below(prng, KEYS);
    const uint32_t bytes = KEY_BYTES + tg_prng_below(prng, tg_prng_below(prng, 8) == 0 ? IMAGE_MAX - KEY_BYTES : 60);
    const uint32_t salt = tg_prng_below(prng, 1000);
    uint8_t image[IMAGE_MAX];
    image_of(key, salt, bytes, image);
    const struct tg_cql_image from = {
        .version = version, .due_ns = w->now_ns + tg_prng_below(prng, 50), .arrived_ns = w->now_ns};
    if (!tg_cql_pending_put(&w->pending, image, bytes, KEY_BYTES, &from)) {
        w->refused++;
        return;
    }
    w->taken_rows++;
    w->salts[version] = salt;
    w->keys[key].version = version;
    w->keys[key].salt = salt;
    w->keys[key].bytes = bytes;
}

static void send_one(struct world *w, bool hurry)
{
    const uint32_t entry = tg_cql_pending_next(&w->pending, w->now_ns, hurry);
    if (entry == TG_CQL_NO_ENTRY) { return; }
    const struct tg_cql_image *image = tg_cql_pending_image(&w->pending, entry);
    uint8_t bytes[IMAGE_MAX];
    tg_cql_pending_copy(&w->pending, image, bytes);
    uint64_t key;
    memcpy(&key, bytes, KEY_BYTES);
    const uint32_t salt = w->salts[image->version];
    expect_content(bytes, image->bytes, salt);
    for (uint32_t i = 0; i < w->flight_count; i++) { cr_assert_neq(w->flights[i].key, key, "two of a key in flight"); }
    w->flights[w->flight_count++] = (struct flight){entry, (uint32_t)key, image->version, salt};
    tg_cql_pending_sent(&w->pending, entry);
}

static void end_one(struct world *w, struct tg_prng *prng, bool may_fail)
{
    if (w->flight_count == 0) { return; }
    const uint32_t i = tg_prng_below(prng, w->flight_count);
    const struct flight flight = w->flights[i];
    w->flights[i] = w->flights[--w->flight_count];
    struct model_key *key = &w->keys[flight.key];
    const bool applied = !may_fail || tg_prng_below(prng, 4) != 0; /* a failed one may have been applied, too */
    if (applied && flight.version >= key->stored) {
        key->stored = flight.version;
        key->stored_salt = flight.salt;
    }
    if (may_fail && tg_prng_below(prng, 3) == 0) {
        tg_cql_pending_delay(&w->pending, flight.entry, w->now_ns + tg_prng_below(prng, 20));
        return;
    }
    if (!applied) { /* acknowledged means applied */
        key->stored = flight.version > key->stored ? flight.version : key->stored;
        key->stored_salt = w->salts[key->stored];
    }
    struct tg_cql_image done;
    tg_cql_pending_done(&w->pending, flight.entry, &done);
    cr_assert_eq(done.version, flight.version);
    w->acknowledged_rows += done.rows;
}

static void open_world(struct world *w)
{
    struct tg_error err = {0};
    *w = (struct world){0};
    cr_assert_eq(tg_arena_open(&w->arena, 1 << 20, &err), TG_OK);
    const struct tg_cql_pending_config config = {ENTRIES, 64, 60, IMAGE_MAX};
    cr_assert_leq(tg_cql_pending_bytes(&config), 1 << 20);
    cr_assert_eq(tg_cql_pending_init(&w->pending, &config, &w->arena, &err), TG_OK);
}

Test(cql_pending, random_rows_end_in_the_table_with_their_last_version)
{
    struct tg_prng prng = {tg_test_seed()};
    static struct world w;
    open_world(&w);
    uint64_t flushes = 0;
    for (int64_t step = 1; step <= STEPS; step++) {
        w.now_ns++;
        switch (tg_prng_below(&prng, 8)) {
        case 0:
        case 1:
        case 2: put(&w, &prng, step); break;
        case 3:
        case 4: send_one(&w, tg_prng_below(&prng, 3) == 0); break;
        case 5:
        case 6: end_one(&w, &prng, true); break;
        default:
            if (tg_prng_below(&prng, 50) == 0) {
                int64_t newest[KEYS];
                for (uint32_t k = 0; k < KEYS; k++) { newest[k] = w.keys[k].version; }
                tg_cql_pending_flush(&w.pending);
                flushes++;
                for (uint32_t n = 0; !tg_cql_pending_flushed(&w.pending); n++) {
                    cr_assert_lt(n, 20000, "a flush ends");
                    w.now_ns += 20;
                    send_one(&w, false); /* everything is due while a flush is under way */
                    end_one(&w, &prng, tg_prng_below(&prng, 2) == 0);
                }
                for (uint32_t k = 0; k < KEYS; k++) { cr_assert_geq(w.keys[k].stored, newest[k]); }
            }
        }
        if (step % 64 == 0) { tg_cql_pending_check(&w.pending); }
    }
    tg_cql_pending_flush(&w.pending);
    for (uint32_t n = 0; !tg_cql_pending_flushed(&w.pending); n++) {
        cr_assert_lt(n, 20000);
        w.now_ns += 20;
        send_one(&w, false);
        end_one(&w, &prng, false);
    }
    tg_cql_pending_check(&w.pending);
    for (uint32_t k = 0; k < KEYS; k++) {
        cr_assert_eq(w.keys[k].stored, w.keys[k].version);
        cr_assert_eq(w.keys[k].stored_salt, w.keys[k].salt);
    }
    cr_assert_eq(w.pending.images, 0);
    cr_assert_eq(w.pending.free.count, ENTRIES);
    cr_assert_eq(w.pending.free_blocks, w.pending.block_count);
    cr_assert_eq(w.acknowledged_rows, w.taken_rows, "every row taken is behind an acknowledged image");
    cr_assert_gt(w.refused, 0, "memory was short at times");
    cr_assert_gt(flushes, 10);
    tg_arena_close(&w.arena);
}

Test(cql_pending, older_versions_do_not_replace_newer_ones_that_wait)
{
    static struct world w;
    open_world(&w);
    uint8_t image[32];
    struct tg_cql_image from = {.version = 5};
    image_of(1, 5, 32, image);
    cr_assert(tg_cql_pending_put(&w.pending, image, 32, KEY_BYTES, &from));
    image_of(1, 4, 32, image);
    from.version = 4;
    cr_assert(tg_cql_pending_put(&w.pending, image, 32, KEY_BYTES, &from));
    const struct tg_cql_image *waiting = tg_cql_pending_image(&w.pending, tg_cql_pending_next(&w.pending, 1, false));
    cr_assert_eq(waiting->version, 5);
    cr_assert_eq(waiting->rows, 2);
    tg_cql_pending_copy(&w.pending, waiting, image);
    expect_content(image, 32, 5);
    tg_arena_close(&w.arena);
}

Test(cql_pending, the_largest_image_always_fits_an_empty_pool)
{
    static struct world w;
    open_world(&w);
    uint8_t image[IMAGE_MAX];
    const struct tg_cql_image from = {.version = 1};
    image_of(1, 1, IMAGE_MAX, image);
    cr_assert(tg_cql_pending_put(&w.pending, image, IMAGE_MAX, KEY_BYTES, &from));
    tg_cql_pending_check(&w.pending);
    tg_arena_close(&w.arena);
}
