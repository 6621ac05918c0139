/* Every connector, one row each. Whatever is registered is run through the contract suite. */
#ifndef TG_IO_REGISTRY_H
#define TG_IO_REGISTRY_H

#include "io/sink.h"
#include "io/source.h"

/* NULL-terminated lists.  @any */
extern const struct tg_source_ops *tg_source_registry[];
extern const struct tg_sink_ops *const tg_sink_registry[];

/* One more source, which a program other than the command brings along (the simulator's log).  @setup */
void tg_source_register(const struct tg_source_ops *ops);

/* By config key; NULL when there is none.  @any */
const struct tg_source_ops *tg_source_find(const char *name);
const struct tg_sink_ops *tg_sink_find(const char *name);

#endif
