/* What is armed, and how often each place was visited. Visits come from any thread: only their counters change then. */
#include "base/failpoint.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/failpoint_names.h"

enum { NAME_BYTES_MAX = 64, DELAY_MS_MAX = 3600000 };

enum action { KILL, STOP, ERROR, DELAY };

struct plan {
    uint32_t place; /* index into names */
    uint64_t first; /* visits, from 1 */
    uint64_t last;
    enum action action;
    uint64_t value; /* errno or nanoseconds */
};

#define NAME(name) name,
static const char *const names[] = {TG_FAILPOINT_NAMES(NAME)};
enum { NAMES = sizeof names / sizeof names[0] };

bool tg_failpoints_armed;
static struct plan plans[TG_FAILPOINT_PLANS_MAX];
static uint32_t plan_count;
static _Atomic uint64_t visits[NAMES];
static int (*watcher)(void *self, const char *name, uint64_t count);
static void *watcher_self;

const char *tg_failpoint_name(uint32_t index) { return index < NAMES ? names[index] : NULL; }

/* Index of a name of `bytes` bytes, NAMES when it is not listed. */
static uint32_t place_of(const char *name, size_t bytes)
{
    uint32_t place = 0;
    while (place < NAMES && (strlen(names[place]) != bytes || memcmp(names[place], name, bytes) != 0)) { place++; }
    return place;
}

/* ---- visits ------------------------------------------------------------------------------------------------------ */

static int act(const struct plan *plan)
{
    switch (plan->action) {
    case KILL:
        (void)kill(getpid(), SIGKILL);
        for (;;) { (void)pause(); }            /* the signal may reach another thread first */
    case STOP: (void)raise(SIGSTOP); return 0; /* to this thread: it must not go on before all stand still */
    case ERROR: return (int)plan->value;
    case DELAY:
        (void)nanosleep(&(struct timespec){.tv_sec = (time_t)(plan->value / 1000000000),
                                           .tv_nsec = (long)(plan->value % 1000000000)},
                        NULL);
        return 0;
    }
    return 0;
}

int tg_failpoint_visit(const char *name)
{
    const uint32_t place = place_of(name, strlen(name));
    TG_ASSERT(place < NAMES);
    const uint64_t count = atomic_fetch_add_explicit(&visits[place], 1, memory_order_relaxed) + 1;
    int result = watcher != NULL ? watcher(watcher_self, name, count) : 0;
    for (uint32_t i = 0; i < plan_count; i++) {
        const struct plan *plan = &plans[i];
        if (plan->place != place || count < plan->first || count > plan->last) { continue; }
        const int own = act(plan);
        if (own != 0) { result = own; }
    }
    return result;
}

/* ---- arming ------------------------------------------------------------------------------------------------------ */

static uint32_t errno_of(const char *name, size_t bytes)
{
    static const struct {
        const char *name;
        uint32_t number;
    } known[] = {{"EIO", EIO},     {"ENOSPC", ENOSPC}, {"EINTR", EINTR},
                 {"EROFS", EROFS}, {"ENOMEM", ENOMEM}, {"EDQUOT", EDQUOT}};
    for (uint32_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strlen(known[i].name) == bytes && memcmp(known[i].name, name, bytes) == 0) { return known[i].number; }
    }
    return 0;
}

/* Decimal digits up to `end`, all of them and at least one. */
static bool number_of(const char *text, const char *end, uint64_t max, uint64_t *out)
{
    *out = 0;
    if (text == end) { return false; }
    for (; text < end; text++) {
        if (*text < '0' || *text > '9') { return false; }
        *out = *out * 10 + (uint64_t)(*text - '0');
        if (*out > max) { return false; }
    }
    return true;
}

static bool starts_with(const char *text, const char *end, const char *word)
{
    const size_t bytes = strlen(word);
    return (size_t)(end - text) >= bytes && memcmp(text, word, bytes) == 0;
}

static bool read_action(const char *text, const char *end, struct plan *plan)
{
    static const char error[] = "error:";
    static const char delay[] = "delay:";
    uint64_t number = 0;
    if (end - text == 4 && starts_with(text, end, "kill")) {
        plan->action = KILL;
        return true;
    }
    if (end - text == 4 && starts_with(text, end, "stop")) {
        plan->action = STOP;
        return true;
    }
    if (starts_with(text, end, error)) {
        text += sizeof error - 1;
        plan->action = ERROR;
        plan->value = errno_of(text, (size_t)(end - text));
        return plan->value != 0;
    }
    if (!starts_with(text, end, delay)) { return false; }
    plan->action = DELAY;
    const bool micros = end[-1] == 's' && end[-2] == 'u'; /* "delay:" is before them */
    if (!number_of(text + sizeof delay - 1, end - (micros ? 2 : 0), DELAY_MS_MAX, &number)) { return false; }
    plan->value = number * (micros ? 1000 : 1000000);
    return true;
}

/* k: 3, 3+ or 3-5. */
static bool read_visits(const char *text, const char *end, struct plan *plan)
{
    const uint64_t max = UINT64_MAX / 20;
    const char *dash = memchr(text, '-', (size_t)(end - text));
    const bool onwards = end > text && end[-1] == '+';
    if (!number_of(text, dash != NULL ? dash : end - (onwards ? 1 : 0), max, &plan->first)) { return false; }
    plan->last = onwards ? UINT64_MAX : plan->first;
    if (dash != NULL && !number_of(dash + 1, end, max, &plan->last)) { return false; }
    return plan->first != 0 && plan->last >= plan->first;
}

/* One name:k:action in [text, end). */
static tg_status read_plan(const char *text, const char *end, struct plan *plan, struct tg_error *err)
{
    const int bytes = end - text < NAME_BYTES_MAX ? (int)(end - text) : NAME_BYTES_MAX;
    *plan = (struct plan){0};
    const char *name_end = memchr(text, ':', (size_t)(end - text));
    const char *count = name_end != NULL ? name_end + 1 : end;
    const char *count_end = memchr(count, ':', (size_t)(end - count));
    if (name_end == NULL || count_end == NULL) {
        return tg_fail(err, TG1000, 0, "TURGO_FAILPOINT: \"%.*s\" is not name:k:action", bytes, text);
    }
    plan->place = place_of(text, (size_t)(name_end - text));
    if (plan->place == NAMES) {
        return tg_fail(err, TG1000, 0, "TURGO_FAILPOINT: there is no failpoint \"%.*s\"; turgo failpoints lists them",
                       (int)(name_end - text < bytes ? name_end - text : bytes), text);
    }
    if (!read_visits(count, count_end, plan)) {
        return tg_fail(err, TG1000, 0,
                       "TURGO_FAILPOINT: k of \"%.*s\" counts visits from 1; 3+ is the third and on, 3-5 three visits",
                       bytes, text);
    }
    if (!read_action(count_end + 1, end, plan)) {
        return tg_fail(err, TG1000, 0,
                       "TURGO_FAILPOINT: the action of \"%.*s\" is none of kill, stop, delay:MS, delay:NNNus, "
                       "error:EIO|ENOSPC|EINTR|EROFS|ENOMEM|EDQUOT",
                       bytes, text);
    }
    return TG_OK;
}

tg_status tg_failpoint_arm(const char *text, struct tg_error *err)
{
    uint32_t count = plan_count;
    while (text != NULL && *text != '\0') {
        const char *end = strchrnul(text, ',');
        if (count == TG_FAILPOINT_PLANS_MAX) {
            return tg_fail(err, TG1000, 0, "TURGO_FAILPOINT: more than %d plans", TG_FAILPOINT_PLANS_MAX);
        }
        const tg_status status = read_plan(text, end, &plans[count], err);
        if (status != TG_OK) { return status; }
        count++;
        text = *end == ',' ? end + 1 : end;
    }
    plan_count = count;
    tg_failpoints_armed = plan_count > 0 || watcher != NULL;
    return TG_OK;
}

void tg_failpoint_watch(int (*visited)(void *self, const char *name, uint64_t count), void *self)
{
    watcher = visited;
    watcher_self = self;
    tg_failpoints_armed = plan_count > 0 || watcher != NULL;
}

void tg_failpoint_reset(void)
{
    plan_count = 0;
    for (uint32_t i = 0; i < NAMES; i++) { atomic_store_explicit(&visits[i], 0, memory_order_relaxed); }
    tg_failpoint_watch(NULL, NULL);
}
