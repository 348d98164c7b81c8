/* awm_conv_views_sbf.c: the causal convolution of both views, whose weights, biases and tables are the same; what SBF runs.
 *
 * First the samples move down by a byte: a word read from the next byte on, stored, and the newest samples put into their
 * places. Then both views' samples of a channel are one word, oldest last: s3 s2 s1 s0 s3' s2' s1' s0'. Its odd bytes make four
 * lanes of 16 bits, S = s2 + s0 2^16 + s2' 2^32 + s0' 2^48, and the even bytes of the weights W = w0 + w2 2^16, so that
 *
 *     W S + 32,767 in each lane
 *
 * has w0 s0 + w2 s2 in lane 1 and the same of the other view in lane 3: -2 * 128 * 127 <= sum <= 2 * 128 * 128, hence every
 * lane is in 255..65,535. Taps 1 and 3 are the other bytes. Both lanes' sums of four taps are 65,534 too large, which
 * awm_look_up_views_sbf takes off. */
#include "awm_ops.h"

#ifdef __bpf__

/* Where 127 * 2^shift, which awm_look_up_views_sbf adds, fits: |sum mul| + half + 2^61 < 2^63. */
enum { RAISED_SHIFT = 54 };

/* What is read behind the last pair is the first byte of the states, which follow the samples. */
static AWM_NOINLINE void shift_in(uint8_t *samples, const int8_t *next, const int8_t *end) {
    for (; next != end; next += 8, samples += 32) {
        int k;
        AWM_UNROLL(4)
        for (k = 0; k < 4; k++) {
            *(uint64_t *)(void *)(samples + 8 * k) = awm_load64(samples + 8 * k + 1);
            samples[8 * k + 3] = (uint8_t)next[2 * k];
            samples[8 * k + 7] = (uint8_t)next[2 * k + 1];
        }
    }
}

/* r1 sums, r2 and r3 the views' samples, r4 weights, r5 0x00FF in all lanes, r9 128; r6 and r7 samples, r8 and r0 weights.
 * On the stack: the end of the sums. A signed byte is (v ^ 128) - 128. */
#define CHANNEL(i) \
    __asm__ volatile("r6 = *(u32 *)(r3 + 4 * " #i ")\nr7 = *(u32 *)(r2 + 4 * " #i ")\nr7 <<= 32\nr6 |= r7\nr6 = be64 r6\n" \
                     "r7 = 0x8080808080808080 ll\nr6 ^= r7\nr7 = r6\nr7 &= r5\nr7 -= r9\nr6 >>= 8\nr6 &= r5\nr6 -= r9\n" \
                     "r8 = *(u32 *)(r4 + 4 * " #i ")\nw8 ^= 0x80808080\nr0 = r8\nr8 &= 0x00FF00FF\nr8 -= 0x00800080\n" \
                     "r0 >>= 8\nr0 &= 0x00FF00FF\nr0 -= 0x00800080\nr6 *= r8\nr7 *= r0\n" \
                     "r8 = 0x7FFF7FFF7FFF7FFF ll\nr6 += r8\nr7 += r8\nr8 = 0x0000FFFF0000FFFF ll\n" \
                     "r6 >>= 16\nr6 &= r8\nr7 >>= 16\nr7 &= r8\nr6 += r7\n*(u64 *)(r1 + 8 * " #i ") = r6\n");

__attribute__((naked, noinline)) static void sum_taps(uint64_t *sums, const uint32_t *samples, const uint32_t *other,
                                                      const uint32_t *w, const uint64_t *end) {
    __asm__ volatile("*(u64 *)(r10 - 8) = r5\nr5 = 0x00FF00FF00FF00FF ll\nr9 = 0x0080008000800080 ll\n1:\n");
    CHANNEL(0) CHANNEL(1) CHANNEL(2) CHANNEL(3) CHANNEL(4) CHANNEL(5) CHANNEL(6) CHANNEL(7)
    __asm__ volatile("r1 += 64\nr2 += 32\nr3 += 32\nr4 += 32\nr8 = *(u64 *)(r10 - 8)\nif r1 != r8 goto 1b\nexit\n");
}

void awm_conv_views_sbf(const awm_conv_args *a, const awm_conv_args *other, uint64_t *sums) {
    awm_conv_args part = *a;
    uint32_t left = a->n, done = 0;
    if (a->shift > RAISED_SHIFT) {
        awm_conv(a, AWM_BACKEND_SWAR);
        awm_conv(other, AWM_BACKEND_SWAR);
        return;
    }
    shift_in((uint8_t *)a->samples, a->next, a->next + a->n);
    shift_in((uint8_t *)other->samples, other->next, other->next + a->n);
    for (; left; left -= part.n, done += part.n) {
        part.n = left < AWM_CHUNK ? left : AWM_CHUNK;
        part.bias = a->bias + done;
        part.mul = a->mul + done;
        part.out = a->out + done;
        sum_taps(sums, a->samples + done, other->samples + done, a->w + done, sums + part.n);
        awm_look_up_views_sbf(sums, &part, other->out + done);
    }
}

#else
AWM_STATIC_ASSERT(other_targets_have_no_such_units, 1);
#endif
