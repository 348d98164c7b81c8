/* awm_conv_views_sbf.c: the causal convolution of both views, whose weights, biases and tables are the same; what SBF runs.
 *
 * First the samples move down by a byte: a word read from the next byte on, stored, and the newest samples put into their
 * places. Then both views' samples of a channel are one word, four bytes in each half. Its top bits toggled, v = s + 128 is
 * a byte 0..255; tap k of both views, masked after a shift by 8 k bits, is v + v' 2^32, and less 128 (1 + 2^32) it is
 * s + s' 2^32. Times w_k that is summed: |sum w s| <= 4 * 2^14, and AWM_RAISE is in both halves, as awm_store_views_sbf.c
 * wants it. */
#include "awm_ops.h"

#ifdef __bpf__

/* Where 127 * 2^shift, which awm_look_up_views_sbf adds, fits: |sum mul| + half + 2^61 < 2^63. */
enum { RAISED_SHIFT = 54 };

AWM_STATIC_ASSERT(both_halves_are_raised, AWM_RAISE == 0x10000000);

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

/* r1 sums, r2 and r3 the views' samples, r4 weights, r5 and r9 128 and 255 in both halves, r6 the samples, r7 a tap,
 * r8 its weight, r0 the sum. On the stack: the end of the sums. */
#define TAP(i, k, r, isolate) \
    "r8 = *(u8 *)(r4 + 4 * " #i " + " #k ")\nr8 <<= 56\nr8 s>>= 56\n" \
    isolate #r " &= r9\n" #r " -= r5\n" #r " *= r8\nr0 += " #r "\n"
#define CHANNEL(i) \
    "r6 = *(u32 *)(r2 + 4 * " #i ")\nr7 = *(u32 *)(r3 + 4 * " #i ")\nr7 <<= 32\nr6 |= r7\n" \
    "r7 = 0x8080808080808080 ll\nr6 ^= r7\nr0 = 0x1000000010000000 ll\n" /* AWM_RAISE twice */ \
    TAP(i, 0, r7, "r7 = r6\n") TAP(i, 1, r7, "r7 = r6\nr7 >>= 8\n") TAP(i, 2, r7, "r7 = r6\nr7 >>= 16\n") \
    TAP(i, 3, r6, "r6 >>= 24\n") \
    "*(u64 *)(r1 + 8 * " #i ") = r0\n"

__attribute__((naked, noinline)) static void sum_taps(uint64_t *sums, const uint32_t *samples, const uint32_t *other,
                                                      const uint32_t *w, const uint64_t *end) {
    __asm__ volatile("*(u64 *)(r10 - 8) = r5\nr5 = 0x0000008000000080 ll\nr9 = 0x000000FF000000FF ll\n"
                     "1:\n" CHANNEL(0) CHANNEL(1) CHANNEL(2) CHANNEL(3)
                     "r1 += 32\nr2 += 16\nr3 += 16\nr4 += 16\nr8 = *(u64 *)(r10 - 8)\nif r1 != r8 goto 1b\nexit\n");
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
