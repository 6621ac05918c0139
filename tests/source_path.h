/* Where files of the source tree are, whatever folder a test runs in. */
#ifndef TG_TESTS_SOURCE_PATH_H
#define TG_TESTS_SOURCE_PATH_H

#include <stdio.h>
#include <string.h>

/* Path of `relative` in the tree this was compiled from; valid until the next call. */
static inline const char *tg_test_source_path(const char *relative)
{
    static char path[1024];
    static const char here[] = "tests/source_path.h";
    (void)snprintf(path, sizeof path, "%.*s%s", (int)(strlen(__FILE__) - strlen(here)), __FILE__, relative);
    return path;
}

#endif
