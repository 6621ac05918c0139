/* CRC-32C (Castagnoli, RFC 3720 B.4): the checksum of every block turgo writes. */
#ifndef TG_BASE_CRC32C_H
#define TG_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continue from `crc` (0 to start): the checksum of two pieces is that of the second continued from the first. Uses
 * SSE4.2 when the processor has it.  @any */
uint32_t tg_crc32c(uint32_t crc, const void *data, size_t bytes);

#endif
