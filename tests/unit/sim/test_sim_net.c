/* The simulated network: bytes arrive whole and in order through any pieces, and every kind of trouble shows the way a
 * kernel shows it. */
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "engine/sim/net.h"
#include "tests/seed.h"

enum { BYTES = 20000 };

/* A service that sends back what it gets. */
struct echo {
    struct tg_sim_link *link;
    uint32_t accepted;
    uint32_t gone;
    uint64_t received;
};

static struct tg_sim_world world;
static struct tg_sim_net *net;
static struct tg_loop *loop;
static struct echo echo;
static struct tg_sim_service service;
static struct tg_prng prng;

struct op {
    struct tg_io io;
    bool ended;
    int32_t result;
};
static struct op connect_op, send_op, receive_op;

static void on_done(struct tg_io *io, int32_t result)
{
    struct op *op = io->owner;
    op->ended = true;
    op->result = result;
}

static struct tg_io *begin(struct op *op)
{
    *op = (struct op){.io = {.done = on_done, .owner = op}};
    return &op->io;
}

static void on_accepted(void *self, struct tg_sim_link *link)
{
    struct echo *e = self;
    e->link = link;
    e->accepted++;
}
static void on_received(void *self, struct tg_sim_link *link, const uint8_t *data, uint32_t bytes)
{
    ((struct echo *)self)->received += bytes;
    tg_sim_link_send(link, data, bytes);
}
static void on_gone(void *self, struct tg_sim_link *link)
{
    (void)link;
    ((struct echo *)self)->gone++;
}

static void turn(void)
{
    world.now_ns += tg_prng_below(&prng, 200000);
    if (tg_prng_below(&prng, 2) == 0) {
        (void)tg_loop_poll(loop);
    } else {
        (void)tg_sim_net_step(net);
    }
}

static void start(uint64_t seed)
{
    world = (struct tg_sim_world){.now_ns = 1};
    prng = (struct tg_prng){seed};
    echo = (struct echo){0};
    service = (struct tg_sim_service){on_accepted, on_received, on_gone, &echo};
    net = tg_sim_net_create(&world, seed);
    cr_assert_not_null(net);
    tg_sim_net_set_faults(net, &(struct tg_sim_net_faults){.delay_ns = 1000000});
    tg_sim_net_listen(net, 0, &service);
    loop = tg_sim_net_loop(net);
    cr_assert_not_null(loop);
}

static void stop(void)
{
    tg_loop_close(loop);
    tg_sim_net_destroy(net);
}

static int connect_to(uint32_t host)
{
    const struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(TG_SIM_PORT), .sin_addr.s_addr = htonl(0x0A000001 + host)};
    const int fd = tg_loop_socket(loop, AF_INET);
    cr_assert_geq(fd, 0);
    tg_loop_connect(loop, begin(&connect_op), fd, (const struct sockaddr *)&to, sizeof to);
    for (int i = 0; i < 10000 && !connect_op.ended; i++) { turn(); }
    return fd;
}

static void fill(uint8_t data[BYTES])
{
    for (uint32_t i = 0; i < BYTES; i++) { data[i] = (uint8_t)(i * 7 + (i >> 8)); }
}

Test(net, bytes_come_back_whole_and_in_order)
{
    static uint8_t sent[BYTES];
    static uint8_t back[BYTES];
    const uint64_t seed = tg_test_seed();
    fill(sent);
    for (uint64_t s = seed; s < seed + 50; s++) {
        start(s);
        const int fd = connect_to(0);
        cr_assert_eq(connect_op.result, 0);
        uint32_t got = 0;
        uint32_t pieces = 0;
        tg_loop_send(loop, begin(&send_op), fd, sent, BYTES);
        tg_loop_recv(loop, begin(&receive_op), fd, back, BYTES, false);
        for (int i = 0; i < 100000 && got < BYTES; i++) {
            turn();
            if (!receive_op.ended) { continue; }
            cr_assert_gt(receive_op.result, 0);
            got += (uint32_t)receive_op.result;
            pieces++;
            if (got < BYTES) { tg_loop_recv(loop, begin(&receive_op), fd, back + got, BYTES - got, false); }
        }
        cr_assert_eq(got, BYTES, "seed %" PRIu64, s);
        cr_assert(send_op.ended && send_op.result == BYTES);
        cr_assert_arr_eq(back, sent, BYTES);
        cr_assert_gt(pieces, 1);
        stop();
    }
}

Test(net, a_receive_of_all_waits_for_all)
{
    static uint8_t sent[BYTES];
    static uint8_t back[BYTES];
    fill(sent);
    start(3);
    const int fd = connect_to(0);
    tg_loop_send(loop, begin(&send_op), fd, sent, BYTES);
    tg_loop_recv(loop, begin(&receive_op), fd, back, BYTES, true);
    for (int i = 0; i < 100000 && !receive_op.ended; i++) { turn(); }
    cr_assert_eq(receive_op.result, BYTES);
    cr_assert_arr_eq(back, sent, BYTES);
    stop();
}

Test(net, nobody_there_is_refused_or_never_answered)
{
    uint32_t refused = 0;
    uint32_t waiting = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        start(seed);
        tg_sim_net_set_up(net, 0, false);
        (void)connect_to(0);
        cr_assert(!connect_op.ended || connect_op.result == -ECONNREFUSED);
        refused += connect_op.ended;
        waiting += !connect_op.ended;
        stop();
        cr_assert(connect_op.ended, "closing ends everything");
        cr_assert_eq(echo.accepted, 0);
    }
    cr_assert_gt(refused, 10);
    cr_assert_gt(waiting, 5);
}

Test(net, a_host_that_goes_down_resets_or_falls_silent)
{
    static uint8_t data[8];
    uint32_t resets = 0;
    uint32_t silent = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        start(seed);
        const int fd = connect_to(0);
        tg_loop_recv(loop, begin(&receive_op), fd, data, sizeof data, false);
        tg_sim_net_set_up(net, 0, false);
        for (int i = 0; i < 2000; i++) { turn(); }
        cr_assert(!receive_op.ended || receive_op.result == -ECONNRESET);
        resets += receive_op.ended;
        silent += !receive_op.ended;
        stop();
    }
    cr_assert_gt(resets, 20);
    cr_assert_gt(silent, 5);
}

Test(net, cuts_come_in_the_middle_and_the_service_is_told_once)
{
    static uint8_t sent[BYTES];
    uint32_t cut = 0;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        start(seed);
        tg_sim_net_set_faults(net, &(struct tg_sim_net_faults){.cut_ppm = 200000, .delay_ns = 100000});
        const int fd = connect_to(0);
        tg_loop_send(loop, begin(&send_op), fd, sent, BYTES);
        for (int i = 0; i < 2000; i++) { turn(); }
        cr_assert(echo.gone == 0 ? echo.received == BYTES : echo.received < BYTES);
        cut += echo.gone;
        stop();
        cr_assert_eq(echo.gone, echo.accepted);
    }
    cr_assert_gt(cut, 30);
    cr_assert_lt(cut, 100);
}

Test(net, a_shut_down_socket_still_delivers_what_was_sent)
{
    static uint8_t sent[100];
    start(5);
    const int fd = connect_to(0);
    tg_loop_send(loop, begin(&send_op), fd, sent, sizeof sent);
    for (int i = 0; i < 10000 && !send_op.ended; i++) { (void)tg_loop_poll(loop); }
    cr_assert_eq(send_op.result, (int)sizeof sent);
    tg_loop_shutdown(loop, fd);
    for (int i = 0; i < 2000; i++) { turn(); }
    cr_assert_eq(echo.received, sizeof sent);
    cr_assert_eq(echo.gone, 1);
    stop();
}

Test(net, a_dead_process_moves_nothing_and_a_power_cut_loses_what_was_under_way)
{
    static uint8_t sent[100];
    for (int crash = 0; crash < 2; crash++) {
        start(6);
        const int fd = connect_to(0);
        tg_loop_send(loop, begin(&send_op), fd, sent, sizeof sent);
        for (int i = 0; i < 10000 && !send_op.ended; i++) { (void)tg_loop_poll(loop); }
        tg_sim_net_freeze(net);
        world.now_ns += 1000000000;
        (void)tg_sim_net_step(net);
        cr_assert_eq(echo.received, 0);
        tg_loop_close(loop);
        tg_sim_net_crash(net, crash == 0 ? TG_SIM_KILL : TG_SIM_POWER);
        for (int i = 0; i < 10; i++) { (void)tg_sim_net_step(net); }
        cr_assert_eq(echo.received, crash == 0 ? sizeof sent : 0);
        cr_assert_eq(echo.gone, 1);
        tg_sim_net_destroy(net);
    }
}
