/* One pass over the text, appending to a bounded buffer that is copied to the arena at the end. */
#include "engine/config/interpolate.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct pass {
    bool environment;
    bool secret;
    size_t bytes;
    char *buffer; /* [TG_EXPANSION_BYTES_MAX + 1] */
    struct tg_expansion *out;
};

static bool fail(struct tg_expansion *out, enum tg_code code, const char *hint)
{
    out->code = code;
    (void)snprintf(out->hint, sizeof out->hint, "%s", hint);
    return false;
}

static bool append(struct pass *pass, const char *data, size_t bytes)
{
    if (bytes > TG_EXPANSION_BYTES_MAX - pass->bytes) {
        (void)snprintf(pass->out->what, sizeof pass->out->what, "value longer than 64 KiB");
        return fail(pass->out, TG1004, "");
    }
    memcpy(pass->buffer + pass->bytes, data, bytes);
    pass->bytes += bytes;
    return true;
}

static bool append_file(struct pass *pass, const char *path)
{
    struct tg_expansion *out = pass->out;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        (void)snprintf(out->what, sizeof out->what, "secret file %.120s: %s", path, strerror(errno));
        return fail(out, TG1004, "it must exist and be readable by the user that runs turgo");
    }
    struct stat info;
    bool ok = fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
    if (!ok) {
        (void)snprintf(out->what, sizeof out->what, "secret file %.120s is no regular file", path);
        (void)fail(out, TG1004, "");
    } else if ((info.st_mode & S_IROTH) != 0) {
        (void)snprintf(out->what, sizeof out->what, "secret file %.120s is readable by everybody", path);
        ok = fail(out, TG1004, "chmod 600 it");
    }
    size_t used = 0;
    char data[4096];
    for (ssize_t got = 1; ok && got > 0;) {
        got = read(fd, data, sizeof data);
        if (got < 0 && errno == EINTR) {
            got = 1;
            continue;
        }
        if (got < 0) {
            (void)snprintf(out->what, sizeof out->what, "secret file %.120s: %s", path, strerror(errno));
            ok = fail(out, TG1004, "");
        } else {
            used += (size_t)got;
            ok = append(pass, data, (size_t)got);
        }
    }
    (void)close(fd);
    if (ok && used > 0 && pass->buffer[pass->bytes - 1] == '\n') { pass->bytes--; }
    if (ok && memchr(pass->buffer, '\0', pass->bytes) != NULL) {
        (void)snprintf(out->what, sizeof out->what, "secret file %.120s holds a zero byte", path);
        ok = fail(out, TG1004, "");
    }
    return ok;
}

static bool is_variable(const char *name)
{
    if (!isalpha((unsigned char)name[0]) && name[0] != '_') { return false; }
    for (; *name != '\0'; name++) {
        if (!isalnum((unsigned char)*name) && *name != '_') { return false; }
    }
    return true;
}

/* `inner` is what stands between the braces. */
static bool append_variable(struct pass *pass, char *inner)
{
    struct tg_expansion *out = pass->out;
    char *colon = strchr(inner, ':');
    char rule = '\0';
    const char *rest = "";
    if (colon != NULL) {
        *colon = '\0';
        rule = colon[1];
        rest = rule != '\0' ? colon + 2 : "";
    }
    if (!is_variable(inner) || (colon != NULL && rule != '-' && rule != '?')) {
        (void)snprintf(out->what, sizeof out->what, "\"${%.60s%s\" is no variable", inner, colon != NULL ? ":" : "}");
        return fail(out, TG1004, "write ${NAME}, ${NAME:-default}, ${NAME:?message}; $$ is a dollar sign");
    }
    const char *value = getenv(inner);
    if (value != NULL && (rule == '\0' || value[0] != '\0')) { return append(pass, value, strlen(value)); }
    if (rule == '-') { return append(pass, rest, strlen(rest)); }
    if (!pass->environment) {
        out->unresolved = true;
        return true;
    }
    (void)snprintf(out->what, sizeof out->what, "environment variable %.100s is %s", inner,
                   value != NULL ? "empty" : "not set");
    return fail(out, TG1005, rule == '?' && rest[0] != '\0' ? rest : "set it, or give a default: ${NAME:-default}");
}

static bool append_braces(struct pass *pass, const char *inner, size_t bytes)
{
    struct tg_expansion *out = pass->out;
    char text[4096];
    if (bytes >= sizeof text) {
        (void)snprintf(out->what, sizeof out->what, "variable longer than 4 KiB");
        return fail(out, TG1004, "");
    }
    memcpy(text, inner, bytes);
    text[bytes] = '\0';
    if (strncmp(text, "file:", 5) != 0) { return append_variable(pass, text); }
    if (!pass->secret) {
        (void)snprintf(out->what, sizeof out->what, "${file:...} is for secrets only");
        return fail(out, TG1004, "write the value itself, or a variable: ${NAME}");
    }
    if (!pass->environment) {
        out->unresolved = true;
        return true;
    }
    return append_file(pass, text + 5);
}

static bool expand(struct pass *pass, const char *text)
{
    struct tg_expansion *out = pass->out;
    for (const char *at = text; *at != '\0';) {
        const size_t plain = strcspn(at, "$");
        if (!append(pass, at, plain)) { return false; }
        at += plain;
        if (at[0] == '$' && at[1] == '{') {
            const char *end = strchr(at, '}');
            if (end == NULL) {
                (void)snprintf(out->what, sizeof out->what, "\"${\" without \"}\"");
                return fail(out, TG1004, "$$ is a dollar sign");
            }
            if (!append_braces(pass, at + 2, (size_t)(end - at - 2))) { return false; }
            at = end + 1;
        } else if (at[0] == '$') {
            if (!append(pass, "$", 1)) { return false; }
            at += at[1] == '$' ? 2 : 1;
        }
    }
    return true;
}

bool tg_interpolate(struct tg_arena *arena, const char *text, bool environment, bool secret, struct tg_expansion *out)
{
    *out = (struct tg_expansion){.text = text};
    if (strchr(text, '$') == NULL) { return true; }
    char *buffer = malloc(TG_EXPANSION_BYTES_MAX + 1);
    if (buffer == NULL) {
        (void)snprintf(out->what, sizeof out->what, "out of memory");
        return fail(out, TG1004, "");
    }
    struct pass pass = {.environment = environment, .secret = secret, .buffer = buffer, .out = out};
    bool ok = expand(&pass, text);
    if (ok && !out->unresolved) {
        buffer[pass.bytes] = '\0';
        out->text = tg_arena_strdup(arena, buffer);
        if (out->text == NULL) {
            (void)snprintf(out->what, sizeof out->what, "the job file's values are too large together");
            ok = fail(out, TG1004, "");
        }
    }
    explicit_bzero(buffer, pass.bytes);
    free(buffer);
    return ok;
}
