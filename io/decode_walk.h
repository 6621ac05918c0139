/* The strict walk over the structural indexes of one document: RFC 8259 in full for every byte, wanted or not, nesting
 * up to TG_JSON_DEPTH_MAX, without recursion; on the way it notes where the wanted members' values stand. It converts
 * nothing and copies nothing but keys with escapes. */
#ifndef TG_IO_DECODE_WALK_H
#define TG_IO_DECODE_WALK_H

#include "io/decode_names.h"
#include "io/decode_stage1.h"

/* A document under the walk. It may be one of several that were indexed together: then the indexes of the ones behind
 * it follow its own, and only blanks stand between two documents.
 * Bytes of a token: from at[i] to the last non-blank before at[i + 1], because a scalar ends where blanks or the next
 * structural byte begin. */
struct tg_walk {
    const uint8_t *bytes;          /* what the indexes are offsets into */
    struct tg_structure structure; /* at[0] is the document's first token, at[0] < end */
    uint32_t end;                  /* offset behind the document's last byte */
    uint32_t consumed;             /* out: how many indexes belong to it; set unless the outcome is TG_WALK_BAD */
    bool has_escapes;              /* out: some value of this document has */
    struct tg_names *names;
    /* [names->member_count + 1] out: index of the member's value in structure.at, 0 = not there (0 is the document's
     * own brace). The last of equal keys wins. Zeroed by the caller. */
    uint32_t *found;
    uint8_t *scratch; /* room for the longest key of the document */
    /* Backslashes are found by scanning ahead, once for all documents indexed together: `escape` is the first one at or
     * behind the walk's position, or escape_end. A string that ends before it has no escapes to check. */
    const uint8_t *escape;
    const uint8_t *escape_end;
};

enum tg_walk_outcome { TG_WALK_OBJECT, TG_WALK_OTHER, TG_WALK_BAD };

/* Walk the whole document: an object, another JSON value, or not JSON.  @shard */
TG_HOT TG_MUST_USE enum tg_walk_outcome tg_walk_document(struct tg_walk *walk);

static inline bool tg_json_is_blank(uint8_t byte)
{
    const uint64_t blanks = UINT64_C(1) << ' ' | UINT64_C(1) << '\n' | UINT64_C(1) << '\r' | UINT64_C(1) << '\t';
    return byte <= ' ' && (blanks >> byte & 1);
}

/* One behind the last byte of token i, closing quote included.  @shard */
static inline uint32_t tg_walk_token_end(const struct tg_walk *walk, uint32_t i)
{
    uint32_t end = walk->structure.at[i + 1];
    while (TG_UNLIKELY(tg_json_is_blank(walk->bytes[end - 1]))) { end--; } /* stops at the token itself */
    return end;
}

#endif
