/* The simulated table: last write wins in every order of arrival, ties as Cassandra decides them, and an observer who
 * notices what must not happen. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/prng.h"
#include "engine/sim/cql_table.h"
#include "io/cassandra/statement.h"
#include "tests/seed.h"

static struct tg_sim_table *table;

static void start(void)
{
    const struct tg_sim_table_config config = {
        .column_count = 3,
        .columns = {{"key", TG_CQL_TYPE_TEXT, true}, {"n", TG_CQL_TYPE_INT, false}, {"at", TG_CQL_TYPE_BIGINT, false}},
        .rising = 2,
    };
    tg_sim_table_destroy(table);
    table = tg_sim_table_create(&config);
    cr_assert_not_null(table);
}

/* n of -1 is null, of -2 unset. */
static void write_row(const char *key, int32_t n, int64_t at, int64_t timestamp)
{
    const uint32_t n_wire = __builtin_bswap32((uint32_t)n);
    const uint64_t at_wire = __builtin_bswap64((uint64_t)at);
    const struct tg_sim_value values[3] = {
        {.view = {.data = (const uint8_t *)key, .bytes = (uint32_t)strlen(key)}},
        {.view = {.data = (const uint8_t *)&n_wire, .bytes = 4, .is_null = n == -1}, .unset = n == -2},
        {.view = {.data = (const uint8_t *)&at_wire, .bytes = 8}},
    };
    tg_sim_table_write(table, values, timestamp);
}

static void expect(const char *text)
{
    char *found = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&found, &bytes);
    tg_sim_table_print(table, out);
    (void)fclose(out);
    cr_assert_str_eq(found, text);
    free(found);
}

Test(cql_table, the_last_timestamp_wins_whatever_comes_last)
{
    start();
    write_row("a", 2, 20, 200);
    write_row("a", 1, 10, 100);
    write_row("b", 7, 5, 50);
    cr_assert_null(tg_sim_table_violation(table));
    uint64_t writes = 0;
    uint64_t stale = 0;
    tg_sim_table_counts(table, &writes, &stale);
    cr_assert_eq(writes, 3);
    cr_assert_eq(stale, 1);
    char *found = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&found, &bytes);
    tg_sim_table_print(table, out);
    (void)fclose(out);
    cr_assert_not_null(strstr(found, "{\"key\":\"a\",\"n\":2,\"at\":20,\"_timestamp\":200}\n"));
    cr_assert_not_null(strstr(found, "{\"key\":\"b\",\"n\":7,\"at\":5,\"_timestamp\":50}\n"));
    free(found);
}

Test(cql_table, the_larger_value_wins_a_tie_and_null_wins_over_all)
{
    start();
    write_row("a", 5, 10, 100);
    write_row("a", 9, 10, 100);
    write_row("a", 7, 10, 100);
    expect("{\"key\":\"a\",\"n\":9,\"at\":10,\"_timestamp\":100}\n");
    write_row("a", -1, 10, 100);
    write_row("a", 9, 10, 100);
    expect("{\"key\":\"a\",\"n\":null,\"at\":10,\"_timestamp\":100}\n");
    cr_assert_not_null(strstr(tg_sim_table_violation(table), "different values"), "and that is reported");
}

Test(cql_table, unset_leaves_a_cell_and_its_timestamp)
{
    start();
    write_row("a", 5, 10, 100);
    write_row("a", -2, 11, 101);
    write_row("a", 4, 9, 99);
    expect("{\"key\":\"a\",\"n\":5,\"at\":11,\"_timestamp\":101}\n");
    cr_assert_null(tg_sim_table_violation(table));
}

Test(cql_table, the_same_write_again_is_nothing_to_report)
{
    start();
    for (int i = 0; i < 5; i++) { write_row("a", 5, 10, 100); }
    write_row("a", 6, 11, 101);
    write_row("a", 5, 10, 100);
    cr_assert_null(tg_sim_table_violation(table));
}

Test(cql_table, a_reader_who_sees_event_time_fall_reports_it)
{
    start();
    write_row("a", 5, 10, 100);
    write_row("b", 5, 3, 100);
    cr_assert_null(tg_sim_table_violation(table));
    write_row("a", 6, 9, 101); /* an older value under a newer timestamp */
    cr_assert_not_null(strstr(tg_sim_table_violation(table), "stepped back"));
}

Test(cql_table, one_timestamp_with_two_contents_is_reported_even_when_both_are_old)
{
    start();
    write_row("a", 9, 90, 900);
    write_row("a", 1, 10, 100);
    cr_assert_null(tg_sim_table_violation(table));
    write_row("a", 2, 10, 100);
    cr_assert_not_null(strstr(tg_sim_table_violation(table), "different values"));
}

Test(cql_table, any_order_of_arrival_ends_the_same)
{
    enum { KEYS = 3000, WRITES = 12000 };
    static int64_t newest[KEYS];
    struct tg_prng prng = {tg_test_seed()};
    start();
    for (uint32_t i = 0; i < WRITES; i++) {
        char key[16];
        const uint32_t k = tg_prng_below(&prng, KEYS);
        const int64_t timestamp = 1 + tg_prng_below(&prng, 50);
        (void)snprintf(key, sizeof key, "k%u", k);
        write_row(key, (int32_t)(k + (uint32_t)timestamp), timestamp, timestamp);
        newest[k] = timestamp > newest[k] ? timestamp : newest[k];
    }
    cr_assert_null(tg_sim_table_violation(table));
    char *found = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&found, &bytes);
    tg_sim_table_print(table, out);
    (void)fclose(out);
    uint32_t rows = 0;
    for (const char *line = found; *line != '\0'; line = strchr(line, '\n') + 1) {
        uint32_t k = 0;
        int n = 0;
        long at = 0;
        long timestamp = 0;
        static const char form[] = "{\"key\":\"k%u\",\"n\":%d,\"at\":%ld,\"_timestamp\":%ld}";
        cr_assert_eq(sscanf(line, form, &k, &n, &at, &timestamp), 4);
        cr_assert_eq(timestamp, newest[k]);
        cr_assert_eq(n, (int)(k + (uint32_t)timestamp));
        rows++;
    }
    for (uint32_t k = 0; k < KEYS; k++) { rows -= newest[k] != 0; }
    cr_assert_eq(rows, 0);
    free(found);
}
