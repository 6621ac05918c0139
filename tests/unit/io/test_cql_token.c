/* Tokens against what a Cassandra 5.0.5 answered to SELECT token(...). */
#include <criterion/criterion.h>

#include "io/cassandra/codec.h"
#include "io/cassandra/ring.h"
#include "io/cassandra/token.h"
#include "tests/unit/io/cql_bytes.h"

static const struct {
    const char *key;
    int64_t token;
} golden[] = {
    {"78", INT64_C(7860725293736722151)},
    {"80", INT64_C(-5284281814142962636)},
    {"ffffff", INT64_C(-9154616442117352147)},
    {"000102030405060708090a0b0c0d0e0f", INT64_C(4920504430128807728)},
    {"808182838485868788898a8b8c8d8e8f", INT64_C(7217206371623098675)},
    {"78797a7b7c7d7e7f808182838485868788898a8b8c8d8e", INT64_C(1535160739800598294)},
    {"ffffffffffffffffffffffffffffff", INT64_C(-2195530867418009455)},
    {"ffffffffffffffffffffffffffffffffff", INT64_C(-4128212798341382003)},
    {"6772c3b6c39f65", INT64_C(-4714452854575106781)},
    {"757365722d31", INT64_C(7038226039998199158)},
    {"30313233343536373839616263646566303132333435363738396162636465fe", INT64_C(-6836900632567760874)},
    {"a5", INT64_C(9102176746827431674)},
    {"4dca", INT64_C(7937931544219438322)},
    {"182530", INT64_C(6068479167813565288)},
    {"bb1d6d13", INT64_C(-4469617531165980528)},
    {"2cded6237b", INT64_C(-5181672435055343724)},
    {"2ed91e3f721f", INT64_C(4534573008782432204)},
    {"cb1971174494d6", INT64_C(-6108198017939165541)},
    {"493c9d5c3460be31", INT64_C(369911734640614424)},
    {"201e69fedaa0eee8b9", INT64_C(-2074272014092295086)},
    {"997f5c7c2999fdafe593", INT64_C(-32003801386848725)},
    {"253cd654af4dfad71427a0", INT64_C(-710262683116833875)},
    {"aeb3fee9232f8af2211f9ee4", INT64_C(-7166419386614295414)},
    {"91c5b10becb5563bfc1e6f9342", INT64_C(2344439780066371560)},
    {"7ecbc8fe2955e5cd8e46dc8ed4b7", INT64_C(-3889258449416575448)},
    {"c2764d2a5a4d767706f85d8690024a", INT64_C(6346434833608210718)},
    {"d6bda3401be9c8cbccc935f6cd1f6122", INT64_C(2496137534570887662)},
    {"6ae15338ae1a34004d33ba0d246ac04c81", INT64_C(-5163860770097987848)},
    {"b1baf23e3bf9eef5f79f2b4934af87f5520b", INT64_C(-1739369041822248009)},
    {"69b94b0d982e85bb55b672a872637acd7466fc", INT64_C(-3944668422202499633)},
    {"b60e0e8ff18463b0e4b2ba29703474f064ac68f7", INT64_C(-7786467646688507977)},
    {"00f5b02b3dc666f45bdeaa2ccaedcd2b5157410e4d", INT64_C(1951256186105160739)},
    {"ee4af2b34f430a073447de636c0e806c957ba684d643", INT64_C(3507963295454856628)},
    {"1fb5ead7424d09e15d024c5848f23d1fa6f7361d7f618d", INT64_C(-8588892845546608172)},
    {"1532e70e20e2a6668de7f47e8467e546d53ec8e2a1257bdb", INT64_C(6707213903693155933)},
    {"256c9b3e4fbb498146ef7030cbf9537252dcceadd764b6a32f", INT64_C(-8424332517172412811)},
    {"bb09adeae109c4a997203975352b878b145c8a42d884cf4cfda7", INT64_C(709345390310507954)},
    {"2d8e1d5dd92589082d852a7122873ee805add58942167a38528619", INT64_C(1395167599800584676)},
    {"5c679f9c6994e45b8ab1098012070961f37de436ddfdc99d6e75af65", INT64_C(-5042908090517330491)},
    {"47cfb11b42072482dc531c2bc3907c9617eb5e5089e40186baa8a57d11", INT64_C(939714455876839797)},
    {"9e6fb65d00abc32af38e667f022e872d49cc15c90b999b772b4fc7a6fd4c", INT64_C(5489273470328774013)},
    {"914a16db4708752b0f1544b835c0e719097dfa8701e9232f21f28126877869", INT64_C(-1599464230021034359)},
    {"76ebfcc327f5931765274ba9829b4406f61ff889326ffa9492edeeee3c669f2b", INT64_C(3298334995322450226)},
    {"f20894ea27e689c66b6b262e4886b8438f39ba76fef8c90c5101fbe6cf9a48d5b0", INT64_C(61584507335068422)},
};

Test(cql_token, agrees_with_the_server_also_for_bytes_above_0x7f)
{
    for (size_t i = 0; i < sizeof golden / sizeof golden[0]; i++) {
        uint8_t key[64];
        const uint32_t bytes = from_hex(golden[i].key, key);
        cr_assert_eq(tg_cql_token(key, bytes), golden[i].token, "%s", golden[i].key);
    }
    cr_assert_eq(tg_cql_token((const uint8_t *)"", 0), 0);
}

Test(cql_token, keys_of_two_columns_are_length_bytes_zero)
{
    static const struct {
        const char *a;
        int32_t b;
        int64_t token;
    } pairs[] = {{"x", 1, INT64_C(6941770900066266162)},
                 {"gr\xc3\xb6\xc3\x9f" "e", -5, INT64_C(-428336302712045223)},
                 {"", 0, INT64_C(-150644895381498316)},
                 {"\xc3\xbcn\xc3\xaf" "code\xe2\x82\xac", 2147483647, INT64_C(3059303216883513001)}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        uint8_t key[64];
        struct tg_cql_writer writer = {.data = key, .capacity = sizeof key};
        tg_cql_put_string(&writer, pairs[i].a);
        tg_cql_put_u8(&writer, 0);
        tg_cql_put_u16(&writer, 4);
        tg_cql_put_u32(&writer, (uint32_t)pairs[i].b);
        tg_cql_put_u8(&writer, 0);
        cr_assert_eq(tg_cql_token(key, writer.used), pairs[i].token, "%s", pairs[i].a);
    }
}

static void ring_of(struct tg_cql_ring *ring, struct tg_arena *arena)
{
    struct tg_error err = {0};
    cr_assert_eq(tg_arena_open(arena, 1 << 20, &err), TG_OK);
    cr_assert_eq(tg_cql_ring_init(ring, arena, &err), TG_OK);
    /* four nodes, two tokens each, added out of order */
    static const int64_t tokens[] = {400, 100, 300, 200, 800, 500, 700, 600};
    static const uint8_t nodes[] = {3, 0, 2, 1, 3, 0, 2, 1};
    for (uint32_t i = 0; i < 8; i++) { tg_cql_ring_add(ring, tokens[i], nodes[i]); }
}

static void expect_replicas(const struct tg_cql_ring *ring, int64_t token, const char *want)
{
    const uint8_t *found = tg_cql_ring_replicas(ring, token);
    char text[TG_CQL_REPLICAS_MAX + 1] = {0};
    for (uint32_t i = 0; i < TG_CQL_REPLICAS_MAX && found[i] != TG_CQL_NO_NODE; i++) {
        text[i] = (char)('0' + found[i]);
    }
    cr_assert_str_eq(text, want, "token %ld", token);
}

Test(cql_ring, simple_strategy_takes_the_next_nodes_clockwise)
{
    struct tg_cql_ring ring;
    struct tg_arena arena;
    const uint32_t racks[TG_CQL_NODES_MAX] = {0};
    ring_of(&ring, &arena);
    tg_cql_ring_build(&ring, &(struct tg_cql_replication){.factor = 3}, racks);
    expect_replicas(&ring, INT64_MIN, "012");
    expect_replicas(&ring, 100, "012"); /* a node owns its token */
    expect_replicas(&ring, 101, "123");
    expect_replicas(&ring, 350, "301");
    expect_replicas(&ring, 801, "012"); /* beyond the last token: around */
    expect_replicas(&ring, INT64_MAX, "012");
    tg_cql_ring_build(&ring, &(struct tg_cql_replication){.factor = 9}, racks);
    expect_replicas(&ring, 150, "1230");
    tg_arena_close(&arena);
}

Test(cql_ring, network_topology_takes_other_racks_first)
{
    struct tg_cql_ring ring;
    struct tg_arena arena;
    const uint32_t racks[TG_CQL_NODES_MAX] = {7, 7, 9, 9};
    ring_of(&ring, &arena);
    tg_cql_ring_build(&ring, &(struct tg_cql_replication){.factor = 3, .spread_racks = true}, racks);
    expect_replicas(&ring, 50, "021"); /* 1 shares a rack with 0 and comes last */
    expect_replicas(&ring, 250, "203");
    tg_arena_close(&arena);
}

Test(cql_ring, an_empty_ring_knows_nobody)
{
    struct tg_cql_ring ring = {0};
    cr_assert_null(tg_cql_ring_replicas(&ring, 5));
}
