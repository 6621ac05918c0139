/* The pages of tools/explain/, embedded at build time. */
#ifndef TG_TOOLS_EXPLAIN_H
#define TG_TOOLS_EXPLAIN_H

#include <stdint.h>

struct tg_explain_page {
    int code;
    const char *text;
};
extern const struct tg_explain_page tg_explain_pages[];
extern const uint32_t tg_explain_page_count;

#endif
