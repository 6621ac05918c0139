/* What the suites of the I/O loop share: operations with their outcome, a loop, a connected pair of sockets. */
#ifndef TG_TESTS_CONTRACT_LOOP_FIXTURE_H
#define TG_TESTS_CONTRACT_LOOP_FIXTURE_H

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/loop.h"

enum { WAIT_NS = 10000000, SECOND_NS = 1000000000 };

/* Outcome of one operation. */
struct outcome {
    struct tg_io io;
    int32_t result;
    uint32_t runs;
};

static inline void note(struct tg_io *io, int32_t result)
{
    struct outcome *outcome = io->owner;
    outcome->result = result;
    outcome->runs++;
}

static inline void prepare(struct outcome *outcome)
{
    *outcome = (struct outcome){.io = {.done = note, .owner = outcome}};
}

static inline struct tg_loop *open_loop(enum tg_loop_backend backend)
{
    struct tg_loop *loop = NULL;
    struct tg_error err = {0};
    const struct tg_loop_config config = {.backend = backend, .ops_max = 1024};
    if (tg_loop_open(&loop, &config, NULL, &err) != TG_OK) {
        if (backend == TG_LOOP_URING && (err.os_errno == EPERM || err.os_errno == ENOSYS)) {
            cr_skip_test("io_uring is denied here: %s", err.text);
        }
        cr_assert_fail("%s", err.text);
    }
    cr_assert_str_eq(tg_loop_name(loop), backend == TG_LOOP_URING ? "io_uring" : "epoll");
    return loop;
}

static inline bool idle(void *self)
{
    (void)self;
    return true;
}

static inline uint64_t now_ns(void)
{
    const struct tg_clock clock = tg_clock_real();
    return tg_clock_now_ns(&clock);
}

/* Poll until `outcome` has run, at most 10 s. */
static inline void await(struct tg_loop *loop, const struct outcome *outcome)
{
    const uint64_t end = now_ns() + 10ULL * SECOND_NS;
    while (outcome->runs == 0) {
        cr_assert_lt(now_ns(), end, "operation never completed");
        if (tg_loop_poll(loop) == 0) { tg_loop_park(loop, WAIT_NS, idle, NULL); }
    }
}

static inline int listener(struct sockaddr_in *address)
{
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof *address;
    cr_assert_eq(bind(fd, (struct sockaddr *)address, bytes), 0);
    cr_assert_eq(listen(fd, 128), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)address, &bytes), 0);
    return fd;
}

/* A connected pair: *fd is the loop's, *peer a plain blocking socket. */
static inline void connected(struct tg_loop *loop, int *fd, int *peer)
{
    struct sockaddr_in address;
    const int server = listener(&address);
    *fd = tg_loop_socket(loop, AF_INET);
    cr_assert_geq(*fd, 0);
    struct outcome outcome;
    prepare(&outcome);
    tg_loop_connect(loop, &outcome.io, *fd, (struct sockaddr *)&address, sizeof address);
    memset(&address, 0xEE, sizeof address); /* the loop has copied it */
    cr_assert_eq(outcome.runs, 0, "done ran inside the call that started it");
    await(loop, &outcome);
    cr_assert_eq(outcome.result, 0);
    *peer = accept(server, NULL, NULL);
    cr_assert_geq(*peer, 0);
    (void)close(server);
}

#endif
