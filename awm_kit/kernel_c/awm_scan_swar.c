/* awm_scan_swar.c: the selective scan with two states in the 32-bit halves of a word; what SBF and WASM run.
 *
 * A word holds four int16 states. Toggling their top bits gives h + 2^15 in 0..65535; states 0 and 2 are its even
 * lanes, 1 and 3 its odd ones. For a pair (p, q) in the halves of a word:
 *
 *     t = (h + 2^15) D + B X + c,  c = 2^30 + 2^14 - 2^15 D,  hence  t = h D + B X + 2^14 + 2^30
 *
 * in each half. |h D + B X| <= 2^30 (awm_ops.h), so 0 < t < 2^32: the halves never disturb each other, although
 * B X is negative at times (arithmetic is modulo 2^64, only the total must fit). t >> 15 is the new h + 2^15.
 *
 * y is summed as in awm_matvec_swar.c: (p + q 2^32) (Cq + Cp 2^32) has p Cp + q Cq in its upper half. The lower
 * half sums p Cq: |.| <= 65535 * 128 * 128 < 2^31. The upper one is sum (h + 2^15) C modulo 2^32, of which
 * 2^15 sum C is taken off; the true |y| <= 2^30.
 */
#include "awm_ops.h"

#define TOP_BITS 0x8000800080008000u
#define LOW_LANES 0x0000FFFF0000FFFFu
#define BOTH 0x0000000100000001u
#define HALF_WORD 0x80000000u

static uint64_t pack(int64_t low, int64_t high) {
    return (uint64_t)low + ((uint64_t)high << 32);
}

/* Per four states: B of the even pair, B of the odd pair, then C of both, halves exchanged. Last, 2^15 sum C. */
void awm_scan_begin_swar(uint64_t *bc, const int8_t *b, const int8_t *c, uint32_t d_state) {
    int64_t sum = 0;
    uint32_t n;
    for (n = 0; n < d_state; n += 4, bc += 4, b += 4, c += 4) {
        bc[0] = pack(b[0], b[2]);
        bc[1] = pack(b[1], b[3]);
        bc[2] = pack(c[2], c[0]);
        bc[3] = pack(c[3], c[1]);
        sum += c[0] + c[1] + c[2] + c[3];
    }
    *bc = (uint64_t)(sum * 32768);
}

/* One channel: updates d_state states, returns the upper and lower sums of y. */
static AWM_NOINLINE uint64_t channel(uint64_t *h, const uint64_t *bc, const uint64_t *end, uint64_t decay,
                                     uint64_t x) {
    const uint64_t c = (((uint64_t)1 << 30) + (1u << 14) - (decay << 15)) * BOTH;
    uint64_t y = 0;
    do {
        uint64_t word = *h ^ TOP_BITS, even = word & LOW_LANES, odd = (word >> 16) & LOW_LANES;
        even = ((even * decay + bc[0] * x + c) >> 15) & LOW_LANES;
        odd = ((odd * decay + bc[1] * x + c) >> 15) & LOW_LANES;
        y += even * bc[2] + odd * bc[3];
        *h++ = (even | odd << 16) ^ TOP_BITS;
        bc += 4;
    } while (bc != end);
    return y;
}

void awm_scan_swar(const awm_scan_args *a) {
    const uint64_t *bc = a->bc, *end = bc + a->d_state, bias = *end, stride = a->d_state / 4;
    const int8_t *in = a->x, *z = a->z;
    uint64_t *h = (uint64_t *)(void *)a->h;
    int32_t *v = a->v, *stop = v + a->headdim;
    for (; v != stop; v++, in++, z++, h += stride) {
        int64_t x = *in;
        uint64_t sums = channel(h, bc, end, (uint64_t)a->decay, (uint64_t)awm_scan_input(a, x));
        int64_t y = (int32_t)((uint32_t)((sums + HALF_WORD) >> 32) - (uint32_t)bias);
        *v = awm_scan_output(a, y, x, *z);
    }
}
