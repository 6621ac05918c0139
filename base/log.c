/* Log lines. Each is put together in a buffer on the stack and leaves in one write(), so lines of several threads never
 * mix. A line that is too long loses its fields; control characters are escaped, so one event is one line whatever it
 * says. */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json_text.h"
#include "base/timestamp.h"

enum { LINE_BYTES = 8192, MESSAGE_BYTES = 1024, STAMP_BYTES = 40, LIMIT_SECONDS = 60 };

static struct {
    enum tg_log_level level_min;
    enum tg_log_format format; /* never TG_LOG_AUTO after tg_log_configure */
    const char *job;
    bool colour;
    bool terminal;
} settings = {.level_min = TG_LOG_INFO, .format = TG_LOG_LOGFMT};

struct event {
    enum tg_log_level level;
    enum tg_code code;
    int shard;
    const char *fields; /* "" for none */
    const char *message;
    char stamp[STAMP_BYTES]; /* always six fraction digits: columns line up */
};

static const char *level_name(enum tg_log_level level)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    return (unsigned)level < sizeof names / sizeof names[0] ? names[level] : "error";
}

void tg_log_configure(const struct tg_log_config *config)
{
    settings.level_min = config->level_min;
    settings.job = config->job;
    settings.format = config->format;
    if (config->format == TG_LOG_AUTO) { settings.format = isatty(STDERR_FILENO) ? TG_LOG_TEXT : TG_LOG_LOGFMT; }
    const char *no_colour = getenv("NO_COLOR"); /* its presence is a user's wish everywhere */
    const char *term = getenv("TERM");
    settings.terminal = isatty(STDERR_FILENO) == 1;
    settings.colour =
        settings.terminal && (no_colour == NULL || *no_colour == '\0') && (term == NULL || strcmp(term, "dumb") != 0);
    if (config->colour != TG_COLOUR_AUTO) { settings.colour = config->colour == TG_COLOUR_ALWAYS; }
}

bool tg_log_coloured(void) { return settings.colour; }

static void stamp_put(char out[STAMP_BYTES])
{
    const struct tg_clock clock = tg_clock_real();
    const int64_t now = tg_clock_wall_us(&clock);
    const uint32_t used = tg_ts_format(now - now % 1000000, out); /* "...:05Z" */
    (void)snprintf(out + used - 1, STAMP_BYTES - used + 1, ".%06dZ", (int)(now % 1000000));
}

static void print(struct tg_writer *line, const char *fmt, ...) TG_PRINTF(2, 3);
static void print(struct tg_writer *line, const char *fmt, ...)
{
    char text[256];
    va_list args;
    va_start(args, fmt);
    const int bytes = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (bytes > 0) { tg_write_bytes(line, text, (uint32_t)bytes < sizeof text ? (uint32_t)bytes : sizeof text - 1); }
}

/* Text with control characters as "\n", "\u001b": nothing in it can move the cursor or start a line. */
static void plain_write(struct tg_writer *line, const char *text)
{
    for (; *text != '\0'; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c == '\n') {
            tg_write_cstr(line, "\\n");
        } else if (c < 0x20 || c == 0x7F) {
            print(line, "\\u%04x", c);
        } else {
            tg_write_bytes(line, text, 1);
        }
    }
}

static void text_format(struct tg_writer *line, const struct event *e)
{
    static const char *const colours[] = {"\033[2m", "\033[32m", "\033[33m", "\033[31m"};
    const bool colour = settings.colour;
    if (settings.terminal) { tg_write_cstr(line, "\r\033[K"); } /* over the status line, which paints itself again */
    /* Time of day is enough on a terminal: "hh:mm:ss" stands at 11. */
    print(line, "%.8s %s%-5s%s ", e->stamp + 11, colour ? colours[e->level] : "", level_name(e->level),
          colour ? "\033[0m" : "");
    if (e->code != TG_CODE_NONE) { print(line, "TG%04d ", (int)e->code); }
    plain_write(line, e->message);
    if (e->shard >= 0) { print(line, " shard=%d", e->shard); }
    if (*e->fields != '\0') {
        tg_write_bytes(line, " ", 1);
        plain_write(line, e->fields);
    }
}

static void logfmt_format(struct tg_writer *line, const struct event *e)
{
    print(line, "ts=%s level=%s", e->stamp, level_name(e->level));
    if (e->code != TG_CODE_NONE) { print(line, " code=TG%04d", (int)e->code); }
    if (settings.job != NULL) { print(line, " job=%s", settings.job); }
    if (e->shard >= 0) { print(line, " shard=%d", e->shard); }
    tg_write_cstr(line, " msg=");
    tg_write_json_string(line, e->message, (uint32_t)strlen(e->message));
    if (*e->fields != '\0') {
        tg_write_bytes(line, " ", 1);
        plain_write(line, e->fields);
    }
}

/* Digits, perhaps with a sign and a fraction, as JSON writes numbers. A text of digits is quoted by who logs it. */
static bool is_number(const char *value, size_t bytes)
{
    size_t i = value[0] == '-';
    const size_t digits = strspn(value + i, "0123456789");
    if (digits == 0 || (digits > 1 && value[i] == '0')) { return false; }
    i += digits;
    if (i == bytes) { return true; }
    const size_t fraction = value[i] == '.' ? strspn(value + i + 1, "0123456789") : 0;
    return fraction > 0 && i + 1 + fraction == bytes;
}

/* One "key=value" or key="quoted value" of a logfmt tail as a JSON member; returns what follows it. */
static const char *member_write(struct tg_writer *line, const char *field)
{
    const size_t key_bytes = strcspn(field, "= ");
    tg_write_bytes(line, ",", 1);
    tg_write_json_string(line, field, (uint32_t)key_bytes);
    tg_write_bytes(line, ":", 1);
    const char *value = field + key_bytes;
    if (*value != '=') { /* a bare word is a flag */
        tg_write_cstr(line, "true");
        return value;
    }
    value++;
    if (*value != '"') {
        const size_t bytes = strcspn(value, " ");
        if (is_number(value, bytes)) {
            tg_write_bytes(line, value, (uint32_t)bytes);
        } else {
            tg_write_json_string(line, value, (uint32_t)bytes);
        }
        return value + bytes;
    }
    size_t bytes = 1;
    while (value[bytes] != '\0' && value[bytes] != '"') {
        bytes += value[bytes] == '\\' && value[bytes + 1] != '\0' ? 2 : 1;
    }
    if (value[bytes] == '\0') { /* the quote never ends: all of it is the value */
        tg_write_json_string(line, value + 1, (uint32_t)bytes - 1);
        return value + bytes;
    }
    tg_write_bytes(line, value, (uint32_t)bytes + 1); /* logfmt quotes as JSON does */
    return value + bytes + 1;
}

static void json_format(struct tg_writer *line, const struct event *e)
{
    print(line, "{\"ts\":\"%s\",\"level\":\"%s\"", e->stamp, level_name(e->level));
    if (e->code != TG_CODE_NONE) { print(line, ",\"code\":\"TG%04d\"", (int)e->code); }
    if (settings.job != NULL) {
        tg_write_cstr(line, ",\"job\":");
        tg_write_json_string(line, settings.job, (uint32_t)strlen(settings.job));
    }
    if (e->shard >= 0) { print(line, ",\"shard\":%d", e->shard); }
    tg_write_cstr(line, ",\"msg\":");
    tg_write_json_string(line, e->message, (uint32_t)strlen(e->message));
    const char *field = e->fields + strspn(e->fields, " ");
    while (*field != '\0') {
        field = member_write(line, field);
        field += strspn(field, " ");
    }
    tg_write_bytes(line, "}", 1);
}

static void line_format(struct tg_writer *line, const struct event *e)
{
    switch (settings.format) {
    case TG_LOG_TEXT: text_format(line, e); break;
    case TG_LOG_JSON: json_format(line, e); break;
    case TG_LOG_AUTO:
    case TG_LOG_LOGFMT: logfmt_format(line, e); break;
    }
}

void tg_log(enum tg_log_level level, enum tg_code code, int shard, const char *fields, const char *fmt, ...)
{
    if (level < settings.level_min) { return; }
    char message[MESSAGE_BYTES];
    va_list args;
    va_start(args, fmt);
    if (vsnprintf(message, sizeof message, fmt, args) < 0) { message[0] = '\0'; }
    va_end(args);
    struct event event = {level, code, shard, fields != NULL ? fields : "", message, ""};
    stamp_put(event.stamp);
    char text[LINE_BYTES];
    struct tg_writer line = {.data = text, .capacity = sizeof text - 1};
    line_format(&line, &event);
    if (line.overflow) { /* without its fields it fits: a message is 6 KiB when escaped; a cut JSON object is none */
        event.fields = "";
        line.used = 0;
        line.overflow = false;
        line_format(&line, &event);
    }
    text[line.used] = '\n';
    ssize_t written;
    do {
        written = write(STDERR_FILENO, text, (size_t)line.used + 1);
    } while (written < 0 && errno == EINTR);
}

bool tg_log_allowed(struct tg_log_limit *limit, uint64_t now_ns, uint64_t *suppressed)
{
    if (now_ns < limit->next_ns) {
        limit->suppressed++;
        return false;
    }
    *suppressed = limit->suppressed;
    limit->suppressed = 0;
    limit->next_ns = now_ns + LIMIT_SECONDS * UINT64_C(1000000000);
    return true;
}
