/* Claims about deque, list and map, each against a plain array as its model. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

#include "base/prng.h"
#include "state/containers.h"
#include "tests/seed.h"

struct fixture {
    struct tg_arena arena;
    struct tg_heap *heap;
    struct tg_prng prng;
    uint64_t seed;
};

static void open_heap(struct fixture *f, uint64_t bytes_max)
{
    struct tg_error err = {0};
    cr_assert_eq(tg_arena_open(&f->arena, tg_heap_bytes(bytes_max), &err), TG_OK);
    cr_assert_eq(tg_heap_create(&f->heap, bytes_max, &f->arena, &err), TG_OK);
    f->seed = tg_test_seed();
    f->prng = (struct tg_prng){f->seed};
}
static void close_heap(struct fixture *f)
{
    cr_assert_eq(tg_heap_used_bytes(f->heap), 0, "everything was given back");
    tg_arena_close(&f->arena);
}

Test(deque, agrees_with_a_sorted_array)
{
    enum { MAX = 5000, STEPS = 40000 };
    static int64_t model[MAX];
    struct fixture f;
    struct tg_deque_i64 deque = {0};
    uint32_t count = 0;
    uint32_t first = 0;
    uint32_t largest = 0;
    uint32_t left_heap = 0;
    int64_t clock = 0;
    open_heap(&f, 4 << 20);
    for (uint32_t step = 0; step < STEPS; step++) {
        /* Long phases of filling and of emptying, so that it grows to the heap and comes back. */
        const bool filling = step / 4000 % 2 == 0;
        if (tg_prng_below(&f.prng, 100) < (filling ? 97u : 60u) && count < 3000) {
            if (first + count == MAX) {
                memmove(model, model + first, count * sizeof model[0]);
                first = 0;
            }
            const int64_t element = clock + tg_prng_below(&f.prng, 200) - 100;
            uint32_t at = first + count;
            for (; at > first && model[at - 1] > element; at--) { model[at] = model[at - 1]; }
            model[at] = element;
            count++;
            clock += tg_prng_below(&f.prng, 5);
            const uint32_t before = deque.capacity;
            cr_assert(tg_deque_i64_insert(&deque, f.heap, element));
            left_heap += before != 0 && deque.capacity == 0;
        } else {
            const int64_t bound = clock + 100 - tg_prng_below(&f.prng, filling ? 9000 : 300);
            uint32_t dropped = 0;
            while (count > 0 && model[first] <= bound) {
                first++;
                count--;
                dropped++;
            }
            cr_assert_eq(tg_deque_i64_drop_until(&deque, bound), dropped, "seed %" PRIu64 " step %u", f.seed, step);
        }
        cr_assert_eq(deque.count, count, "seed %" PRIu64 " step %u", f.seed, step);
        const uint32_t look = count == 0 ? 0 : tg_prng_below(&f.prng, count);
        for (uint32_t i = step % 64 == 0 ? 0 : look; i < (step % 64 == 0 ? count : look + (count > 0)); i++) {
            cr_assert_eq(tg_deque_i64_at(&deque, i), model[first + i], "seed %" PRIu64 " step %u", f.seed, step);
        }
        largest = count > largest ? count : largest;
    }
    cr_assert_gt(largest, 100, "it left the inline part");
    cr_assert_gt(left_heap, 0, "and came back");
    tg_deque_i64_clear(&deque, f.heap);
    cr_assert_eq(deque.count, 0);
    close_heap(&f);
}

Test(deque, keeps_a_few_inline_and_refuses_when_the_heap_is_spent)
{
    struct fixture f;
    struct tg_deque_i64 deque = {0};
    open_heap(&f, 64);
    for (int64_t i = 0; i < TG_DEQUE_INLINE; i++) { cr_assert(tg_deque_i64_insert(&deque, f.heap, i)); }
    cr_assert_eq(tg_heap_used_bytes(f.heap), 0);
    cr_assert_not(tg_deque_i64_insert(&deque, f.heap, TG_DEQUE_INLINE));
    cr_assert_eq(deque.count, TG_DEQUE_INLINE, "a refused insertion changes nothing");
    cr_assert_eq(tg_deque_i64_at(&deque, 5), 5);
    close_heap(&f);
}

Test(list, agrees_with_an_array)
{
    enum { MAX = 3000, STEPS = 20000 };
    static const uint32_t sizes[] = {1, 4, 20, 24, 33, 200};
    for (uint32_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        static uint8_t model[MAX][200];
        struct fixture f;
        struct tg_list list = {0};
        uint32_t count = 0;
        open_heap(&f, 4 << 20);
        for (uint32_t step = 0; step < STEPS; step++) {
            if (count < MAX && tg_prng_below(&f.prng, 100) < (step < STEPS / 2 ? 80u : 30u)) {
                for (uint32_t b = 0; b < sizes[s]; b++) { model[count][b] = (uint8_t)tg_prng_next(&f.prng); }
                const void *place = tg_list_append(&list, f.heap, sizes[s], model[count]);
                cr_assert_not_null(place);
                cr_assert_eq(place, tg_list_at(&list, sizes[s], count));
                count++;
            } else if (count > 0) {
                const uint32_t index = tg_prng_below(&f.prng, count);
                const uint32_t most = count - index < 4 ? count - index : 4;
                const uint32_t gone = tg_prng_below(&f.prng, most + 1);
                tg_list_remove(&list, sizes[s], index, gone);
                memmove(model[index], model[index + gone], (count - gone - index) * sizeof model[0]);
                count -= gone;
            }
            cr_assert_eq(list.count, count);
            for (uint32_t i = 0; step % 256 == 0 && i < count; i++) {
                cr_assert_eq(memcmp(tg_list_at(&list, sizes[s], i), model[i], sizes[s]), 0, "seed %" PRIu64, f.seed);
            }
        }
        tg_list_clear(&list, f.heap, sizes[s]);
        close_heap(&f);
    }
}

Test(list, refuses_beyond_the_largest_block_and_keeps_what_it_has)
{
    struct fixture f;
    struct tg_list list = {0};
    static uint8_t element[1 << 20];
    open_heap(&f, 64 << 20);
    for (uint32_t i = 0; i < 8; i++) {
        element[0] = (uint8_t)i;
        cr_assert_not_null(tg_list_append(&list, f.heap, sizeof element, element));
    }
    cr_assert_null(tg_list_append(&list, f.heap, sizeof element, element));
    cr_assert_eq(list.count, 8);
    cr_assert_eq(*(uint8_t *)tg_list_at(&list, sizeof element, 7), 7);
    tg_list_clear(&list, f.heap, sizeof element);
    close_heap(&f);
}

struct map_model {
    uint8_t key[16];
    uint8_t value[24];
    bool present;
};

static void check_walk(const struct tg_map *map, struct tg_map_shape shape, const struct map_model *model,
                       uint32_t keys)
{
    uint32_t walked = 0;
    tg_map_check(map, shape);
    const void *key;
    void *value;
    for (uint32_t n = tg_map_next(map, shape, 0, &key, &value); n != UINT32_MAX;
         n = tg_map_next(map, shape, n + 1, &key, &value)) {
        uint32_t index = 0;
        memcpy(&index, key, shape.key_bytes < 4 ? shape.key_bytes : 4);
        cr_assert_lt(index, keys);
        cr_assert(model[index].present);
        cr_assert_eq(memcmp(value, model[index].value, shape.value_bytes), 0);
        walked++;
    }
    cr_assert_eq(walked, map->count);
}

static void run_map(struct tg_map_shape shape, uint32_t keys)
{
    static struct map_model model[3000];
    struct fixture f;
    struct tg_map map = {0};
    uint32_t count = 0;
    memset(model, 0, sizeof model);
    open_heap(&f, 8 << 20);
    for (uint32_t i = 0; i < keys; i++) { memcpy(model[i].key, &i, 4); }
    for (uint32_t step = 0; step < 60000; step++) {
        struct map_model *entry = &model[tg_prng_below(&f.prng, keys)];
        if (tg_prng_below(&f.prng, 100) < (step < 30000 ? 70u : 35u)) {
            bool fresh;
            uint8_t *value = tg_map_upsert(&map, f.heap, shape, entry->key, &fresh);
            cr_assert_not_null(value);
            cr_assert_eq(fresh, !entry->present, "seed %" PRIu64 " step %u", f.seed, step);
            if (fresh) { memset(entry->value, 0, sizeof entry->value); }
            cr_assert_eq(memcmp(value, entry->value, shape.value_bytes), 0, "seed %" PRIu64 " step %u", f.seed, step);
            cr_assert_eq((uintptr_t)value % (shape.align == 16 ? 16 : 8), 0);
            for (uint32_t b = 0; b < shape.value_bytes; b++) {
                value[b] = entry->value[b] = (uint8_t)tg_prng_next(&f.prng);
            }
            count += fresh;
            entry->present = true;
        } else {
            cr_assert_eq(tg_map_remove(&map, shape, entry->key), entry->present, "seed %" PRIu64 " step %u", f.seed,
                         step);
            count -= entry->present;
            entry->present = false;
        }
        cr_assert_eq(map.count, count);
        entry = &model[tg_prng_below(&f.prng, keys)];
        cr_assert_eq(tg_map_find(&map, shape, entry->key) != NULL, entry->present, "seed %" PRIu64 " step %u", f.seed,
                     step);
        if (step % 2000 == 0) { check_walk(&map, shape, model, keys); }
    }
    tg_map_clear(&map, f.heap, shape);
    close_heap(&f);
}

Test(map, agrees_with_an_array)
{
    run_map((struct tg_map_shape){.key_bytes = 8, .value_bytes = 8}, 3000);
    run_map((struct tg_map_shape){.key_bytes = 13, .value_bytes = 21}, 700);
    run_map((struct tg_map_shape){.key_bytes = 1, .value_bytes = 0}, 256);
    run_map((struct tg_map_shape){.key_bytes = 4, .value_bytes = 16, .align = 16}, 700);
}

/* Two maps with the same keys, one filled in order, one in disorder with detours: they walk alike. */
Test(map, walks_in_an_order_that_only_the_keys_decide)
{
    enum { KEYS = 500 };
    struct fixture f;
    struct tg_map straight = {0};
    struct tg_map crooked = {0};
    const struct tg_map_shape shape = {.key_bytes = 8, .value_bytes = 4};
    bool fresh;
    open_heap(&f, 8 << 20);
    for (uint32_t round = 0; round < 20000; round++) {
        const uint64_t key = tg_prng_below(&f.prng, 4 * KEYS);
        if (tg_prng_below(&f.prng, 2) == 0) {
            cr_assert_not_null(tg_map_upsert(&crooked, f.heap, shape, &key, &fresh));
        } else {
            (void)tg_map_remove(&crooked, shape, &key);
        }
    }
    for (uint64_t key = 0; key < 4 * KEYS; key++) {
        if (key >= KEYS) {
            (void)tg_map_remove(&crooked, shape, &key);
            continue;
        }
        cr_assert_not_null(tg_map_upsert(&straight, f.heap, shape, &key, &fresh));
        cr_assert_not_null(tg_map_upsert(&crooked, f.heap, shape, &key, &fresh));
    }
    cr_assert_neq(straight.capacity, crooked.capacity, "seed %" PRIu64 ": else the test proves little", f.seed);
    uint32_t a = 0;
    uint32_t b = 0;
    const void *key_a;
    const void *key_b;
    void *value;
    for (uint32_t i = 0; i < KEYS; i++) {
        a = tg_map_next(&straight, shape, a, &key_a, &value) + 1;
        b = tg_map_next(&crooked, shape, b, &key_b, &value) + 1;
        cr_assert_eq(memcmp(key_a, key_b, 8), 0, "seed %" PRIu64, f.seed);
    }
    cr_assert_eq(tg_map_next(&straight, shape, a, &key_a, &value), UINT32_MAX);
    tg_map_clear(&straight, f.heap, shape);
    tg_map_clear(&crooked, f.heap, shape);
    close_heap(&f);
}

Test(map, a_walk_can_remove_where_it_stands)
{
    struct fixture f;
    struct tg_map map = {0};
    const struct tg_map_shape shape = {.key_bytes = 8, .value_bytes = 8};
    bool fresh;
    open_heap(&f, 8 << 20);
    for (uint64_t key = 0; key < 3000; key++) {
        uint64_t *value = tg_map_upsert(&map, f.heap, shape, &key, &fresh);
        cr_assert_not_null(value);
        *value = key;
    }
    const void *key;
    void *value;
    uint32_t seen = 0;
    for (uint32_t at = 0; (at = tg_map_next(&map, shape, at, &key, &value)) != UINT32_MAX; seen++) {
        cr_assert_eq(*(const uint64_t *)key, *(uint64_t *)value);
        if (*(uint64_t *)value % 3 != 0) {
            tg_map_remove_at(&map, shape, at);
        } else {
            at++;
        }
    }
    cr_assert_eq(seen, 3000, "each entry once");
    cr_assert_eq(map.count, 1000);
    tg_map_check(&map, shape);
    for (uint64_t k = 0; k < 3000; k++) { cr_assert_eq(tg_map_find(&map, shape, &k) != NULL, k % 3 == 0); }
    tg_map_clear(&map, f.heap, shape);
    close_heap(&f);
}

Test(map, and_list_give_memory_back_when_they_go_on_small)
{
    struct fixture f;
    struct tg_map map = {0};
    struct tg_list list = {0};
    const struct tg_map_shape shape = {.key_bytes = 8, .value_bytes = 8};
    bool fresh;
    open_heap(&f, 8 << 20);
    for (uint64_t key = 0; key < 10000; key++) {
        cr_assert_not_null(tg_map_upsert(&map, f.heap, shape, &key, &fresh));
        cr_assert_not_null(tg_list_append(&list, f.heap, 8, &key));
    }
    const uint64_t busy_bytes = tg_heap_used_bytes(f.heap);
    for (uint64_t key = 5; key < 10000; key++) { cr_assert(tg_map_remove(&map, shape, &key)); }
    tg_list_remove(&list, 8, 5, 9995);
    for (uint64_t key = 0; key < 1000; key++) { /* one in, one out */
        const uint64_t other = 20000 + key;
        cr_assert_not_null(tg_map_upsert(&map, f.heap, shape, &other, &fresh));
        cr_assert(tg_map_remove(&map, shape, &other));
        cr_assert_not_null(tg_list_append(&list, f.heap, 8, &other));
        tg_list_remove(&list, 8, 5, 1);
    }
    cr_assert_lt(tg_heap_used_bytes(f.heap), busy_bytes / 100);
    for (uint64_t key = 0; key < 5; key++) {
        cr_assert_not_null(tg_map_find(&map, shape, &key));
        cr_assert_eq(*(uint64_t *)tg_list_at(&list, 8, (uint32_t)key), key);
    }
    tg_map_clear(&map, f.heap, shape);
    tg_list_clear(&list, f.heap, 8);
    close_heap(&f);
}

Test(map, refuses_to_grow_when_the_heap_is_spent_and_keeps_what_it_has)
{
    struct fixture f;
    struct tg_map map = {0};
    const struct tg_map_shape shape = {.key_bytes = 8, .value_bytes = 8};
    bool fresh;
    uint64_t key = 0;
    open_heap(&f, 256); /* one table of 10 slots of 24 bytes, up to three quarters full */
    while (tg_map_upsert(&map, f.heap, shape, &key, &fresh) != NULL) { key++; }
    cr_assert_geq(key, 4, "%" PRIu64, key); /* a run that meets the table's end grows it earlier */
    cr_assert_leq(key, 7);
    cr_assert_eq(map.count, key);
    for (uint64_t k = 0; k < key; k++) { cr_assert_not_null(tg_map_find(&map, shape, &k)); }
    cr_assert_null(tg_map_find(&map, shape, &key));
    tg_map_clear(&map, f.heap, shape);
    close_heap(&f);
}
