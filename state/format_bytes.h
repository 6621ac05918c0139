/* The constants of docs/formats/checkpoint.md that only state/format.c and state/reader.c need. */
#ifndef TG_STATE_FORMAT_BYTES_H
#define TG_STATE_FORMAT_BYTES_H

#include <stdint.h>

#define STATE_MAGIC "TGSTATE\n"
enum {
    MAGIC_BYTES = 8,
    HEADER_LENGTH_AT = 12,
    HEADER_ENVELOPE_BYTES = 16, /* magic, version, length: enough to know how much to read */
    BLOCK_CRC_AT = 28,
    BLOCK_IS_LARGE = 1,
};
/* Four letters each, as they stand in the file. */
#define BLOCK_MAGIC 0x4B434C42u  /* BLCK */
#define FOOTER_MAGIC 0x544F4F46u /* FOOT */
#define END_MAGIC 0x444E4754u    /* TGND */

#endif
