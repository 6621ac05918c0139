/* Field lists: how an operator declares its records, parameters and state, each as one macro that names its fields.
 *
 *   F(kind, name)              one value; also deque_timestamp and deque_bigint, ascending sequences of such values
 *   F(list, name, record)      state only: records in the order they were added
 *   F(map, name, key, value)   state only: one `value` record for each `key` record
 *
 *   #define VISIT(F)   F(timestamp, at)  F(integer, pages)
 *   #define PRODUCT(F) F(label, id)
 *   #define TALLY(F)   F(bigint, count)  F(timestamp, last)
 *   #define SHOPPER(F) F(deque_timestamp, seen)  F(list, visits, visit)  F(map, tallies, product, tally)
 *   TG_ELEMENT(visit, VISIT)  TG_ELEMENT(product, PRODUCT)  TG_ELEMENT(tally, TALLY)  TG_STATE(shopper, SHOPPER, 1)
 *
 * One list makes the C struct and its description: every byte of a state has a step, a field and, in a container, an
 * element's field to its name, which is what a checkpoint stores it by. `turgo explain OPERATOR` prints it. */
#ifndef TG_ENGINE_RECORD_H
#define TG_ENGINE_RECORD_H

#include "base/types.h"
#include "state/containers.h"

/* A copy of a short text that state can keep. Unused bytes are zero: equal texts are equal bytes. */
typedef struct tg_label {
    char data[15];
    uint8_t bytes;
} tg_label;
typedef struct tg_name {
    char data[63];
    uint8_t bytes;
} tg_name;

typedef tg_text tg_c_text;
typedef int64_t tg_c_bigint;
typedef int32_t tg_c_integer;
typedef bool tg_c_boolean;
typedef tg_ts tg_c_timestamp;
typedef tg_date tg_c_date;
typedef tg_dec tg_c_numeric;
typedef int32_t tg_c_enum;
typedef tg_us tg_c_duration;
typedef tg_label tg_c_label;
typedef tg_name tg_c_name;
typedef struct tg_deque_i64 tg_c_deque_timestamp;
typedef struct tg_deque_i64 tg_c_deque_bigint;
typedef struct tg_list tg_c_list;
typedef struct tg_map tg_c_map;

enum tg_kind {
    TG_KIND_text = 1, /* records and parameters only: borrowed */
    TG_KIND_bigint,
    TG_KIND_integer,
    TG_KIND_boolean,
    TG_KIND_timestamp,
    TG_KIND_date,
    TG_KIND_numeric,
    TG_KIND_enum,
    TG_KIND_duration, /* parameters, state */
    TG_KIND_label,    /* from here on: state only */
    TG_KIND_name,
    TG_KIND_deque_timestamp, /* from here on: containers */
    TG_KIND_deque_bigint,
    TG_KIND_list,
    TG_KIND_map,
};

/* One field of a list. */
struct tg_field {
    const char *kind; /* the first word of its F() entry */
    const char *name;
    uint32_t bytes;
    uint32_t align;
    enum tg_kind kind_id;
    const struct tg_record *key;     /* of a map */
    const struct tg_record *element; /* of a list; the value of a map */
};
struct tg_record {
    const char *name;
    const struct tg_field *fields;
    uint32_t field_count;
    uint32_t bytes; /* sizeof the C struct; offsets follow from natural alignment and are checked against it */
    uint32_t version;
};

/* Calls a, b or c by the number of names after the kind. */
#define TG_BY_SHAPE(plain, list, map, ...) TG_FOURTH(__VA_ARGS__, map, list, plain, 0)
#define TG_FOURTH(a, b, c, fourth, ...) fourth
#define TG_FIELD_DECLARE(kind, ...) TG_BY_SHAPE(TG_PLAIN, TG_LIST_OF, TG_MAP_OF, __VA_ARGS__)(kind, __VA_ARGS__)
#define TG_PLAIN(kind, name) tg_c_##kind name;
#define TG_LIST_OF(kind, name, record) \
    union { \
        struct tg_##kind kind; \
        record *element; /* never used: it carries the type */ \
    } name;
#define TG_MAP_OF(kind, name, key_record, value_record) \
    union { \
        struct tg_##kind kind; \
        key_record *key; \
        value_record *element; \
    } name; \
    static_assert(sizeof(key_record) == key_record##_packed_bytes, "map keys compare bytewise: no padding inside");
#define TG_FIELD_ROW(kind, ...) {TG_BY_SHAPE(TG_ROW_PLAIN, TG_ROW_LIST, TG_ROW_MAP, __VA_ARGS__)(kind, __VA_ARGS__)},
#define TG_ROW_HEAD(kind, name) #kind, #name, sizeof(tg_c_##kind), _Alignof(tg_c_##kind), TG_KIND_##kind
#define TG_ROW_PLAIN(kind, name) TG_ROW_HEAD(kind, name), NULL, NULL
#define TG_ROW_LIST(kind, name, record) TG_ROW_HEAD(kind, name), NULL, &record##_record
#define TG_ROW_MAP(kind, name, key, value) TG_ROW_HEAD(kind, name), &key##_record, &value##_record
#define TG_FIELD_BYTES(kind, ...) +sizeof(tg_c_##kind)
#define TG_FIELD_IS_TEXT(kind, ...) || TG_KIND_##kind == TG_KIND_text
#define TG_FIELD_IS_CONTAINER(kind, ...) || TG_KIND_##kind >= TG_KIND_deque_timestamp
#define TG_FIELD_IS_NO_COLUMN(kind, ...) || TG_KIND_##kind >= TG_KIND_duration
#define TG_FIELD_IS_STATE(kind, ...) || TG_KIND_##kind >= TG_KIND_label

#define TG_FIELDS(record, LIST, number) \
    typedef struct record { \
        LIST(TG_FIELD_DECLARE) \
    } record; \
    static const struct tg_field record##_fields[] = {LIST(TG_FIELD_ROW)}; \
    static const struct tg_record record##_record = { \
        #record, record##_fields, sizeof record##_fields / sizeof record##_fields[0], sizeof(record), number};
#define TG_RECORD(record, LIST) \
    static_assert(!(false LIST(TG_FIELD_IS_NO_COLUMN)), "a record holds what a row's column can hold"); \
    TG_FIELDS(record, LIST, 0)
#define TG_PARAMS(record, LIST) \
    static_assert(!(false LIST(TG_FIELD_IS_STATE)), "labels, names and containers live in state"); \
    TG_FIELDS(record, LIST, 0)
#define TG_ELEMENT(record, LIST) \
    static_assert(!(false LIST(TG_FIELD_IS_TEXT)), "a text is borrowed for the callback: keep a label or a name"); \
    static_assert(!(false LIST(TG_FIELD_IS_CONTAINER)), "containers do not nest"); \
    enum { record##_packed_bytes = 0 LIST(TG_FIELD_BYTES) }; \
    TG_FIELDS(record, LIST, 0)
enum { TG_STATE_BYTES_MAX = 7680 }; /* what a key's slot has beside the engine's part */
#define TG_STATE(record, LIST, version) \
    static_assert(!(false LIST(TG_FIELD_IS_TEXT)), "a text is borrowed for the callback: keep a label or a name"); \
    TG_FIELDS(record, LIST, version) \
    static_assert(sizeof(record) <= TG_STATE_BYTES_MAX, "a key's state has at most 7680 bytes beside its containers");

#endif
