/* The contract of io/loop.h, every case over both backends. */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/prng.h"
#include "tests/contract/loop_fixture.h"
#include "tests/seed.h"

#define BOTH(claim) \
    static void claim(enum tg_loop_backend backend); \
    Test(loop_uring, claim) { claim(TG_LOOP_URING); } \
    Test(loop_epoll, claim) { claim(TG_LOOP_EPOLL); } \
    static void claim(enum tg_loop_backend backend)

BOTH(connect_succeeds_and_bytes_flow_both_ways)
{
    struct tg_loop *loop = open_loop(backend);
    int fd, peer;
    connected(loop, &fd, &peer);
    struct outcome send, recv;
    prepare(&send);
    prepare(&recv);
    char text[8] = {0};
    tg_loop_recv(loop, &recv.io, fd, text, sizeof text, false);
    tg_loop_send(loop, &send.io, fd, "hello", 5);
    await(loop, &send);
    cr_assert_eq(send.result, 5);
    cr_assert_eq(recv.runs, 0, "nothing was sent to us yet");
    char there[8] = {0};
    cr_assert_eq(read(peer, there, sizeof there), 5);
    cr_assert_str_eq(there, "hello");
    cr_assert_eq(write(peer, "you", 3), 3);
    await(loop, &recv);
    cr_assert_eq(recv.result, 3);
    cr_assert_str_eq(text, "you");
    tg_loop_shutdown(loop, fd);
    (void)close(peer);
    tg_loop_close(loop);
}

BOTH(connect_to_a_closed_port_is_refused)
{
    struct tg_loop *loop = open_loop(backend);
    struct sockaddr_in address;
    (void)close(listener(&address));
    struct outcome outcome;
    prepare(&outcome);
    const int fd = tg_loop_socket(loop, AF_INET);
    tg_loop_connect(loop, &outcome.io, fd, (struct sockaddr *)&address, sizeof address);
    await(loop, &outcome);
    cr_assert_eq(outcome.result, -ECONNREFUSED);
    tg_loop_shutdown(loop, fd);
    tg_loop_close(loop);
}

BOTH(operations_on_a_bad_descriptor_fail_by_completion)
{
    struct tg_loop *loop = open_loop(backend);
    struct outcome outcome;
    prepare(&outcome);
    char byte;
    tg_loop_recv(loop, &outcome.io, 1000, &byte, 1, false);
    cr_assert_eq(outcome.runs, 0);
    await(loop, &outcome);
    cr_assert_eq(outcome.result, -EBADF);
    tg_loop_close(loop);
}

struct reader {
    int fd;
    size_t expected;
    uint64_t sum;
};

static void *read_slowly(void *self)
{
    struct reader *reader = self;
    uint8_t *data = malloc(1 << 16);
    for (size_t total = 0; total < reader->expected;) {
        const ssize_t got = read(reader->fd, data, total < (1 << 20) ? 1000 : 1 << 16);
        if (got <= 0) { break; }
        for (ssize_t i = 0; i < got; i++) { reader->sum = reader->sum * 31 + data[i]; }
        total += (size_t)got;
    }
    free(data);
    return NULL;
}

BOTH(a_send_of_8_MiB_to_a_slow_reader_arrives_whole)
{
    enum { BYTES = 8 << 20 };
    struct tg_loop *loop = open_loop(backend);
    int fd, peer;
    connected(loop, &fd, &peer);
    uint8_t *data = malloc(BYTES);
    struct tg_prng prng = {tg_test_seed()};
    uint64_t sum = 0;
    for (size_t i = 0; i < BYTES; i++) {
        data[i] = (uint8_t)tg_prng_next(&prng);
        sum = sum * 31 + data[i];
    }
    struct reader reader = {peer, BYTES, 0};
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, read_slowly, &reader), 0);
    struct outcome outcome;
    prepare(&outcome);
    tg_loop_send(loop, &outcome.io, fd, data, BYTES);
    await(loop, &outcome);
    cr_assert_eq(outcome.result, BYTES);
    (void)pthread_join(thread, NULL);
    cr_assert_eq(reader.sum, sum);
    tg_loop_shutdown(loop, fd);
    tg_loop_close(loop);
    free(data);
    (void)close(peer);
}

BOTH(recv_all_waits_for_the_last_byte_and_recv_any_does_not)
{
    struct tg_loop *loop = open_loop(backend);
    int fd, peer;
    connected(loop, &fd, &peer);
    struct outcome outcome;
    prepare(&outcome);
    char data[100];
    tg_loop_recv(loop, &outcome.io, fd, data, sizeof data, true);
    for (uint32_t i = 0; i < 99; i++) {
        cr_assert_eq(write(peer, "x", 1), 1);
        if (i % 10 == 0) { (void)tg_loop_poll(loop); }
    }
    tg_loop_park(loop, WAIT_NS, idle, NULL);
    (void)tg_loop_poll(loop);
    cr_assert_eq(outcome.runs, 0, "one byte is missing");
    cr_assert_eq(write(peer, "yz", 2), 2);
    await(loop, &outcome);
    cr_assert_eq(outcome.result, 100);
    cr_assert_eq(data[99], 'y');
    prepare(&outcome);
    tg_loop_recv(loop, &outcome.io, fd, data, sizeof data, false);
    await(loop, &outcome);
    cr_assert_eq(outcome.result, 1);
    cr_assert_eq(data[0], 'z');
    tg_loop_shutdown(loop, fd);
    tg_loop_close(loop);
    (void)close(peer);
}

BOTH(a_peer_that_closes_ends_receives_with_what_came_then_0)
{
    struct tg_loop *loop = open_loop(backend);
    int fd, peer;
    connected(loop, &fd, &peer);
    struct outcome outcome;
    prepare(&outcome);
    char data[100];
    tg_loop_recv(loop, &outcome.io, fd, data, sizeof data, true);
    (void)tg_loop_poll(loop);
    cr_assert_eq(write(peer, "abc", 3), 3);
    (void)tg_loop_poll(loop);
    (void)close(peer);
    await(loop, &outcome);
    cr_assert_eq(outcome.result, 3);
    prepare(&outcome);
    tg_loop_recv(loop, &outcome.io, fd, data, sizeof data, false);
    await(loop, &outcome);
    cr_assert_eq(outcome.result, 0);
    tg_loop_shutdown(loop, fd);
    tg_loop_close(loop);
}

BOTH(sending_to_a_closed_peer_is_an_error_not_a_signal)
{
    struct tg_loop *loop = open_loop(backend);
    int fd, peer;
    connected(loop, &fd, &peer);
    (void)close(peer);
    static char data[4096];
    int32_t result = 1;
    for (uint32_t i = 0; i < 100 && result > 0; i++) {
        struct outcome outcome;
        prepare(&outcome);
        tg_loop_send(loop, &outcome.io, fd, data, sizeof data);
        await(loop, &outcome);
        result = outcome.result;
    }
    cr_assert(result == -EPIPE || result == -ECONNRESET, "%d", result);
    tg_loop_shutdown(loop, fd);
    tg_loop_close(loop);
}

BOTH(shutdown_cancels_what_is_in_flight_and_then_lets_go_of_the_buffers)
{
    enum { BYTES = 8 << 20 };
    struct tg_loop *loop = open_loop(backend);
    for (uint32_t round = 0; round < 20; round++) {
        int fd, peer;
        connected(loop, &fd, &peer);
        char *in = malloc(4096);
        char *out = calloc(1, BYTES);
        struct outcome recv, send;
        prepare(&recv);
        prepare(&send);
        tg_loop_recv(loop, &recv.io, fd, in, 4096, true);
        tg_loop_send(loop, &send.io, fd, out, BYTES);
        if (round % 2 == 0) { (void)tg_loop_poll(loop); } /* cancel both submitted and still queued operations */
        if (round % 4 < 2) { cr_assert_eq(write(peer, "part", 4), 4); }
        tg_loop_shutdown(loop, fd);
        cr_assert_eq(recv.runs + send.runs, 0, "done ran inside shutdown");
        await(loop, &recv);
        await(loop, &send);
        cr_assert_eq(recv.result, -ECANCELED);
        cr_assert_eq(send.result, -ECANCELED);
        free(in); /* a late write of the kernel or ours shows under ASan, or as a changed pattern below */
        free(out);
        char *again = malloc(4096);
        memset(again, 0x5A, 4096);
        (void)!write(peer, "late late late", 14);
        tg_loop_park(loop, 100000, idle, NULL);
        (void)tg_loop_poll(loop);
        for (uint32_t i = 0; i < 4096; i++) { cr_assert_eq(again[i], 0x5A); }
        free(again);
        cr_assert_lt(fcntl(fd, F_GETFD), 0, "the descriptor is closed once its operations have ended");
        (void)close(peer);
    }
    tg_loop_close(loop);
}

BOTH(shutdown_of_an_idle_descriptor_closes_it_at_once)
{
    struct tg_loop *loop = open_loop(backend);
    int fd, peer;
    connected(loop, &fd, &peer);
    tg_loop_shutdown(loop, fd);
    cr_assert_lt(fcntl(fd, F_GETFD), 0);
    char byte;
    cr_assert_eq(read(peer, &byte, 1), 0);
    (void)close(peer);
    tg_loop_close(loop);
}

BOTH(shutdown_ends_a_connect_that_nobody_answers)
{
    struct tg_loop *loop = open_loop(backend);
    /* A listener with a full backlog drops further SYNs: the connect hangs. */
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    const int server = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(server, (struct sockaddr *)&address, bytes), 0);
    cr_assert_eq(listen(server, 0), 0);
    cr_assert_eq(getsockname(server, (struct sockaddr *)&address, &bytes), 0);
    struct outcome outcomes[4];
    int fds[4];
    for (uint32_t i = 0; i < 4; i++) {
        prepare(&outcomes[i]);
        fds[i] = tg_loop_socket(loop, AF_INET);
        tg_loop_connect(loop, &outcomes[i].io, fds[i], (struct sockaddr *)&address, sizeof address);
    }
    for (uint32_t i = 0; i < 20; i++) {
        tg_loop_park(loop, WAIT_NS, idle, NULL);
        (void)tg_loop_poll(loop);
    }
    cr_assert_eq(outcomes[3].runs, 0);
    for (uint32_t i = 0; i < 4; i++) { tg_loop_shutdown(loop, fds[i]); }
    await(loop, &outcomes[3]);
    cr_assert_eq(outcomes[3].result, -ECANCELED);
    (void)close(server);
    tg_loop_close(loop);
}

BOTH(close_runs_the_done_of_everything_in_flight)
{
    struct tg_loop *loop = open_loop(backend);
    enum { PAIRS = 50 };
    struct outcome outcomes[PAIRS];
    int peers[PAIRS], fds[PAIRS];
    char data[PAIRS];
    for (uint32_t i = 0; i < PAIRS; i++) {
        connected(loop, &fds[i], &peers[i]);
        prepare(&outcomes[i]);
        tg_loop_recv(loop, &outcomes[i].io, fds[i], &data[i], 1, false);
    }
    tg_loop_close(loop);
    for (uint32_t i = 0; i < PAIRS; i++) {
        cr_assert_eq(outcomes[i].runs, 1);
        cr_assert_eq(outcomes[i].result, -ECANCELED);
        (void)close(peers[i]);
        (void)close(fds[i]);
    }
}

struct stubborn {
    struct tg_io io;
    struct tg_loop *loop;
    struct outcome second;
    char byte;
};

static void start_another(struct tg_io *io, int32_t result)
{
    struct stubborn *stubborn = io->owner;
    cr_assert_eq(result, -ECANCELED);
    prepare(&stubborn->second);
    tg_loop_recv(stubborn->loop, &stubborn->second.io, io->fd, &stubborn->byte, 1, false);
}

BOTH(what_a_done_starts_while_the_loop_closes_is_cancelled_too)
{
    struct tg_loop *loop = open_loop(backend);
    int fd, peer;
    connected(loop, &fd, &peer);
    struct stubborn stubborn = {.loop = loop, .io = {.done = start_another, .owner = &stubborn}};
    tg_loop_recv(loop, &stubborn.io, fd, &stubborn.byte, 1, false);
    tg_loop_close(loop);
    cr_assert_eq(stubborn.second.runs, 1);
    cr_assert_eq(stubborn.second.result, -ECANCELED);
    (void)close(peer);
    (void)close(fd);
}

BOTH(park_sleeps_its_time_and_not_much_longer)
{
    struct tg_loop *loop = open_loop(backend);
    (void)tg_loop_poll(loop);
    tg_loop_park(loop, 1000000, idle, NULL);
    const uint64_t start = now_ns();
    tg_loop_park(loop, 20000000, idle, NULL);
    const uint64_t slept = now_ns() - start;
    cr_assert_geq(slept, 19000000, "%lu", slept);
    cr_assert_lt(slept, SECOND_NS, "%lu", slept);
    tg_loop_close(loop);
}

static bool busy(void *self)
{
    ++*(uint32_t *)self;
    return false;
}

BOTH(park_does_not_sleep_when_asked_not_to_or_woken_before)
{
    struct tg_loop *loop = open_loop(backend);
    uint32_t asked = 0;
    const uint64_t start = now_ns();
    tg_loop_park(loop, 10ULL * SECOND_NS, busy, &asked);
    cr_assert_eq(asked, 1);
    tg_loop_wake(loop);
    tg_loop_park(loop, 10ULL * SECOND_NS, idle, NULL);
    cr_assert_lt(now_ns() - start, SECOND_NS);
    tg_loop_close(loop);
}

/* Two threads that hand a number to and fro; each parks for up to 5 s when it is not its turn. */
enum { PINGS = 10000 };

struct player {
    enum tg_loop_backend backend;
    _Atomic(struct tg_loop *) loop;
    _Atomic uint32_t ball; /* last number that was handed to this player */
    struct player *other;
    pthread_barrier_t *over; /* nobody closes a loop that the other may still wake */
};

static bool no_ball(void *self)
{
    struct player *player = ((struct player **)self)[0];
    const uint32_t *expected = ((void **)self)[1];
    return atomic_load(&player->ball) != *expected;
}

static void *play(void *self)
{
    struct player *player = self;
    struct tg_loop *loop = NULL;
    const struct tg_loop_config config = {.backend = player->backend, .ops_max = 16};
    if (tg_loop_open(&loop, &config, NULL, NULL) != TG_OK) { abort(); }
    atomic_store(&player->loop, loop);
    while (atomic_load(&player->other->loop) == NULL) { sched_yield(); }
    for (uint32_t i = 1; i <= PINGS; i++) {
        void *pair[2] = {player, &i};
        while (atomic_load(&player->ball) != i) {
            (void)tg_loop_poll(loop);
            tg_loop_park(loop, 5ULL * SECOND_NS, no_ball, pair);
        }
        atomic_store(&player->other->ball, player < player->other ? i : i + 1);
        tg_loop_wake(atomic_load(&player->other->loop));
    }
    (void)pthread_barrier_wait(player->over);
    tg_loop_close(loop);
    return NULL;
}

BOTH(ten_thousand_wake_ups_lose_none)
{
    tg_loop_close(open_loop(backend)); /* skips when denied */
    pthread_barrier_t over;
    (void)pthread_barrier_init(&over, NULL, 2);
    struct player players[2] = {{.backend = backend, .over = &over}, {.backend = backend, .over = &over}};
    players[0].other = &players[1];
    players[1].other = &players[0];
    const uint64_t start = now_ns();
    pthread_t threads[2];
    atomic_store(&players[0].ball, 1);
    for (uint32_t i = 0; i < 2; i++) { cr_assert_eq(pthread_create(&threads[i], NULL, play, &players[i]), 0); }
    for (uint32_t i = 0; i < 2; i++) { (void)pthread_join(threads[i], NULL); }
    /* A lost wake-up costs 5 s; 20,000 hand-overs of about 20-100 us take 0.4 to 2 s. */
    cr_assert_lt(now_ns() - start, 5ULL * SECOND_NS);
}

BOTH(two_hundred_sockets_echo_in_any_order)
{
    enum { SOCKETS = 200, ROUNDS = 20 };
    struct tg_loop *loop = open_loop(backend);
    static struct outcome in[SOCKETS], out[SOCKETS];
    static uint64_t sent[SOCKETS], got[SOCKETS];
    int fds[SOCKETS], peers[SOCKETS];
    struct tg_prng prng = {tg_test_seed()};
    for (uint32_t i = 0; i < SOCKETS; i++) { connected(loop, &fds[i], &peers[i]); }
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (uint32_t i = 0; i < SOCKETS; i++) {
            prepare(&in[i]);
            prepare(&out[i]);
            sent[i] = tg_prng_next(&prng);
            tg_loop_recv(loop, &in[i].io, fds[i], &got[i], sizeof got[i], true);
            tg_loop_send(loop, &out[i].io, fds[i], &sent[i], sizeof sent[i]);
        }
        const uint32_t first = tg_prng_below(&prng, SOCKETS);
        for (uint32_t n = 0; n < SOCKETS; n++) {
            const uint32_t i = (first + n * 7) % SOCKETS; /* 7 and 200 share no factor */
            await(loop, &out[i]);
            uint64_t value;
            cr_assert_eq(read(peers[i], &value, sizeof value), sizeof value);
            cr_assert_eq(write(peers[i], &value, sizeof value), sizeof value);
        }
        for (uint32_t i = 0; i < SOCKETS; i++) {
            await(loop, &in[i]);
            cr_assert_eq(in[i].result, 8);
            cr_assert_eq(got[i], sent[i]);
        }
    }
    for (uint32_t i = 0; i < SOCKETS; i++) {
        tg_loop_shutdown(loop, fds[i]);
        (void)close(peers[i]);
    }
    tg_loop_close(loop);
}

/* An operation that starts itself again from its own done. */
struct greedy {
    struct tg_io io;
    struct tg_loop *loop;
    uint32_t runs;
    char byte;
};

static void again(struct tg_io *io, int32_t result)
{
    struct greedy *greedy = io->owner;
    greedy->runs++;
    if (result > 0) { tg_loop_recv(greedy->loop, io, io->fd, &greedy->byte, 1, false); }
}

BOTH(a_poll_ends_although_its_dones_start_more)
{
    struct tg_loop *loop = open_loop(backend);
    int fd, peer;
    connected(loop, &fd, &peer);
    static char data[1 << 14];
    cr_assert_eq(write(peer, data, sizeof data), sizeof data);
    struct greedy greedy = {.io = {.done = again, .owner = &greedy}, .loop = loop};
    tg_loop_recv(loop, &greedy.io, fd, &greedy.byte, 1, false);
    const uint64_t end = now_ns() + 20ULL * SECOND_NS;
    while (greedy.runs < sizeof data) {
        cr_assert_leq(tg_loop_poll(loop), 1, "a poll runs what was ready when it began");
        cr_assert_lt(now_ns(), end);
    }
    tg_loop_shutdown(loop, fd);
    tg_loop_close(loop);
    (void)close(peer);
}
