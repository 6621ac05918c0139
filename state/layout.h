/* What the bytes of one state table mean: its owner, its key columns and its value fields, by name. Plain data: the
 * engine builds it from the operator's declaration, checkpoint files carry it (docs/formats/checkpoint.md), restoring
 * compares the stored one with today's. How the values themselves are written is state/value.h's business. */
#ifndef TG_STATE_LAYOUT_H
#define TG_STATE_LAYOUT_H

#include "base/arena.h"
#include "base/bytes.h"
#include "base/status.h"
#include "base/types.h"

/* Kinds of fields. The numbers are part of the file format: never changed, never reused. 1 to 9 are enum tg_type. */
enum tg_state_kind {
    TG_STATE_TEXT = TG_TYPE_TEXT,
    TG_STATE_BIGINT = TG_TYPE_BIGINT,
    TG_STATE_INTEGER = TG_TYPE_INTEGER,
    TG_STATE_BOOLEAN = TG_TYPE_BOOLEAN,
    TG_STATE_TIMESTAMP = TG_TYPE_TIMESTAMP,
    TG_STATE_DATE = TG_TYPE_DATE,
    TG_STATE_NUMERIC = TG_TYPE_NUMERIC,
    TG_STATE_ENUM = TG_TYPE_ENUM,
    TG_STATE_JSON = TG_TYPE_JSON, /* key columns only */
    TG_STATE_DURATION = 10,
    TG_STATE_LABEL = 11, /* text of at most 15 bytes, inside the value */
    TG_STATE_NAME = 12,  /* text of at most 63 bytes, inside the value */
    TG_STATE_DEQUE = 16, /* containers from here on; ascending, one element field: timestamp or bigint */
    TG_STATE_LIST = 17,
    TG_STATE_MAP = 18, /* elements: key_count key fields, then the value's */
};

enum {
    TG_STATE_FIELDS_MAX = 128,  /* of one value */
    TG_STATE_ELEMENTS_MAX = 64, /* fields of one container's elements */
    TG_STATE_KEYS_MAX = 64,     /* columns of a key */
    TG_STATE_NAME_BYTES_MAX = 255,
    TG_STATE_SCALE_NONE = 255, /* a numeric whose scale nobody declared */
};

struct tg_state_field {
    const char *name; /* 1 to TG_STATE_NAME_BYTES_MAX bytes, unique among its neighbours */
    enum tg_state_kind kind;
    uint8_t scale;          /* numeric: digits behind the point, or TG_STATE_SCALE_NONE; 0 elsewhere */
    uint8_t key_count;      /* map: so many elements are the key; 0 elsewhere */
    uint32_t offset;        /* in the value, or in the element's key or value struct; in memory only, never stored */
    uint32_t element_count; /* containers only */
    const struct tg_state_field *elements; /* [element_count]; never containers */
    /* containers in memory; never stored */
    uint32_t element_bytes; /* of a list's element struct, a map's value struct */
    uint32_t key_bytes;     /* of a map's key struct */
    uint32_t align;         /* of a map's structs: struct tg_map_shape */
};

enum tg_state_owner { TG_STATE_OF_STEP = 1, TG_STATE_OF_SOURCE = 2 };

struct tg_state_layout {
    enum tg_state_owner owner_kind;
    const char *owner; /* name of the step or source */
    const char *name;  /* of the state: "recent", "dedupe" */
    uint32_t version;  /* the operator's */
    uint32_t key_count;
    const struct tg_state_field *keys; /* [key_count] columns of the encoded key (base/key.h), plain kinds only */
    uint32_t field_count;
    const struct tg_state_field *fields; /* [field_count] of the value, in the order records hold them */
};

/* Is it within the limits, are names there and unique, kinds legal, element counts right? Errors: TG1519.  @any */
TG_MUST_USE tg_status tg_state_layout_check(const struct tg_state_layout *layout, struct tg_error *err);

/* Append the stored form. `out` may overflow; the caller looks.  @any */
void tg_state_layout_encode(const struct tg_state_layout *layout, struct tg_bytes_out *out);
/* Read one; everything is copied into `arena`. False: `in` says at which byte and why.  @any */
TG_MUST_USE bool tg_state_layout_decode(struct tg_bytes_in *in, struct tg_arena *arena, struct tg_state_layout *out);

/* Same owner, state, version, keys and fields, in this order; offsets aside.  @any */
bool tg_state_layout_equal(const struct tg_state_layout *a, const struct tg_state_layout *b);

/* How values stored under one layout become values of another. */
enum tg_state_fate {
    TG_STATE_SAME,  /* stored field -> field of the same kind */
    TG_STATE_WIDER, /* integer -> bigint; label -> name */
    TG_STATE_GONE,  /* only the stored layout has it: skipped */
};
struct tg_state_mapping {
    bool same;                           /* layouts are equal: values can be taken as they are */
    uint32_t added_count;                /* fields only `now` has; they start fresh */
    uint8_t added[TG_STATE_FIELDS_MAX];  /* [added_count] their indexes in now->fields */
    uint8_t fate[TG_STATE_FIELDS_MAX];   /* [stored->field_count] enum tg_state_fate */
    uint8_t target[TG_STATE_FIELDS_MAX]; /* [stored->field_count] index in now->fields unless GONE */
};
/* Match `stored` with `now` by name. Fields may be added, removed, reordered and widened; key columns may be renamed
 * and widened from integer to bigint (the encoded key is the same), nothing else; containers must hold the same element
 * fields. The version must be the stored one: its change says that the same names mean something else. Errors: TG1519
 * naming the first thing that does not fit.  @any */
TG_MUST_USE tg_status tg_state_layout_match(const struct tg_state_layout *stored, const struct tg_state_layout *now,
                                            struct tg_state_mapping *out, struct tg_error *err);

/* "timestamp", "deque".  @any */
const char *tg_state_kind_name(enum tg_state_kind kind);

#endif
