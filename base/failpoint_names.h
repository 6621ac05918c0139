/* Every failpoint, once, with what has happened before it and not yet after it. Adding one is a line here and
 * TG_FAILPOINT("name") at the place. */
#ifndef TG_BASE_FAILPOINT_NAMES_H
#define TG_BASE_FAILPOINT_NAMES_H

/* X(name) */
#define TG_FAILPOINT_NAMES(X) \
    X("file.append") /* file sink: a block is about to be written behind the whole ones */ \
    X("file.sync")   /* file sink: blocks are written, none of them is durable yet */ \
    X("file.commit") /* file sink: the checkpoint is complete, its rows are not in the final file yet */ \
    X("ticks.write") /* ticks are about to be written to their log, or all that count to a new one */ \
    X("ticks.sync")  /* they are written, not durable: they have not acted */

#endif
