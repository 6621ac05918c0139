/* The table of digit pairs and the writers that use it. */
#include "base/digits.h"

const char tg_digit_pairs[201] =
    "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849"
    "50515253545556575859606162636465666768697071727374757677787980818283848586878889909192939495969798"
    "99";

uint32_t tg_digits_count(uint64_t n)
{
    static const uint64_t powers[TG_DIGITS_U64_BYTES] = {
        0, /* so that 0 has one digit */
        10u, 100u, 1000u, 10000u, 100000u, 1000000u, 10000000u, 100000000u, 1000000000u, 10000000000u, 100000000000u,
        1000000000000u, 10000000000000u, 100000000000000u, 1000000000000000u, 10000000000000000u, 100000000000000000u,
        1000000000000000000u, 10000000000000000000u};
    const uint32_t bits = 64u - (uint32_t)__builtin_clzll(n | 1);
    const uint32_t guess = bits * 1233 >> 12; /* log10(2) = 1233 / 4096: right or one too low */
    return guess + (n >= powers[guess]);
}

void tg_digits_put(char *out, uint64_t n, uint32_t count)
{
    while (count >= 2) {
        count -= 2;
        tg_digits_put2(out + count, (uint32_t)(n % 100));
        n /= 100;
    }
    if (count == 1) { out[0] = (char)('0' + n % 10); }
}
