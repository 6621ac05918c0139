/* Inside io/checkpoint/: paths, and what the names in the directory say. */
#ifndef TG_IO_CHECKPOINT_PLACE_H
#define TG_IO_CHECKPOINT_PLACE_H

#include "io/checkpoint/store.h"

enum { TG_PLACE_BYTES = TG_STORE_PATH_BYTES + 2 * TG_STORE_NAME_BYTES };

#define TG_PLACE_RESTORING "RESTORING"

/* "directory/name" in out; returns out.  @any */
const char *tg_place_of(const char *directory, const char *name, char out[TG_PLACE_BYTES]);

/* One pass over the directory. Lists of numbers are unsorted; arrays may be NULL, then only counts and maxima. */
struct tg_store_names {
    uint64_t generation; /* largest */
    uint64_t newest;     /* largest of manifests, their .tmp, acknowledgements and folders */
    bool restoring;
    uint32_t manifest_count, epoch_count, ack_count, leftover_count, generation_count;
    uint64_t *manifests, *epochs, *acks, *generations; /* [TG_STORE_LIST_MAX] */
    char (*leftovers)[TG_STORE_NAME_BYTES];            /* [TG_STORE_LIST_MAX] */
};
/* Count what is there; `out` starts zeroed. Errors: TG1511.  @any */
TG_MUST_USE tg_status tg_store_scan(const struct tg_store *store, struct tg_store_names *out, struct tg_error *err);
/* The same with the lists, in `arena`.  @any */
TG_MUST_USE tg_status tg_store_scan_lists(const struct tg_store *store, struct tg_arena *arena,
                                          struct tg_store_names *out, struct tg_error *err);
/* Are these names of a directory that nobody has claimed since `store` did? Errors: TG1521.  @helper */
TG_MUST_USE tg_status tg_store_check_newest(const struct tg_store *store, const struct tg_store_names *names,
                                            struct tg_error *err);
/* Remove e<N> and what is in it; 0 or -errno, 0 when it is not there.  @helper */
int tg_store_remove_epoch(const struct tg_store *store, uint64_t epoch);

#endif
