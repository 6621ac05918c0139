/* Looking options up by name; for set-up, not for the data path. */
#include "io/options.h"

#include <stddef.h>
#include <string.h>

#include "base/assert.h"

const struct tg_option_value *tg_option(const struct tg_options *options, const char *name)
{
    uint32_t index = 0;
    while (index < options->count && strcmp(options->table[index].name, name) != 0) { index++; }
    TG_ASSERT(index < options->count); /* a connector asks only for what its own table has */
    return &options->values[index];
}

const char *tg_option_text(const struct tg_options *options, const char *name)
{
    const struct tg_option_value *value = tg_option(options, name);
    return value->is_set ? value->text : NULL;
}

int64_t tg_option_number(const struct tg_options *options, const char *name)
{
    const struct tg_option_value *value = tg_option(options, name);
    return value->is_set ? value->number : 0;
}
