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

Test(deque, keeps_six_inline_and_refuses_when_the_heap_is_spent)
{
    struct fixture f;
    struct tg_deque_i64 deque = {0};
    open_heap(&f, 64);
    for (int64_t i = 0; i < 6; i++) { cr_assert(tg_deque_i64_insert(&deque, f.heap, i)); }
    cr_assert_eq(tg_heap_used_bytes(f.heap), 0);
    cr_assert_not(tg_deque_i64_insert(&deque, f.heap, 6));
    cr_assert_eq(deque.count, 6, "a refused insertion changes nothing");
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
                tg_list_remove(&list, sizes[s], index);
                memmove(model[index], model[index + 1], (count - 1 - index) * sizeof model[0]);
                count--;
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
            cr_assert_eq((uintptr_t)value % 8, 0);
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
}

Test(map, refuses_to_grow_when_the_heap_is_spent_and_keeps_what_it_has)
{
    struct fixture f;
    struct tg_map map = {0};
    const struct tg_map_shape shape = {.key_bytes = 8, .value_bytes = 8};
    bool fresh;
    uint64_t key = 0;
    open_heap(&f, 256); /* one table of 8 slots of 24 bytes */
    while (tg_map_upsert(&map, f.heap, shape, &key, &fresh) != NULL) { key++; }
    cr_assert_eq(key, 6);
    for (uint64_t k = 0; k < key; k++) { cr_assert_not_null(tg_map_find(&map, shape, &k)); }
    cr_assert_null(tg_map_find(&map, shape, &key));
    tg_map_clear(&map, f.heap, shape);
    close_heap(&f);
}
