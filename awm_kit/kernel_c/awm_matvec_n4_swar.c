/* awm_matvec_n4_swar.c: four rows of 4-bit weights in the 16-bit lanes of a word; what SBF and WASM run.
 *
 * A word is V = N_0 + 16 N_1 + 256 N_2 + 4096 N_3, N_i the nibbles of column i at a distance of 16 bits. Masked after a
 * shift by 4 i bits it is N_i, and modulo 2^64
 *
 *     V x_0 + N_1 (x_1 - 16 x_0) + N_2 (x_2 - 256 x_0) + N_3 (x_3 - 4096 x_0) = sum N_i x_i,
 *
 * four sums of products, one in each lane; the first of the four needs no mask. A shift by 8 is a load from the next byte,
 * which at the end of the words is a scale. Lanes disturb their upper neighbours on the way: only the total of a chunk
 * must fit, and with 8 sum x taken off each lane and 32768 added (the word behind the chunk's columns) it does, see
 * awm_matvec_n4.h. Its even and odd lanes are then pairs of 32-bit sums: two rows in one multiplication by their scale.
 */
#include "awm_matvec_n4.h"

#define LANES 0x0001000100010001u
#define NIBBLES 0x000F000F000F000Fu
#define EVEN_LANES 0x0000FFFF0000FFFFu
#define RAISED (AWM_RAISE * 0x0000000100000001u) /* two sums of two views, as awm_store_views_sbf.c wants them */

/* Prepares the multipliers of each chunk's columns and, behind them, what makes its lanes positive; those of the
 * second view are stride words further on, each next to its twin. */
static AWM_NOINLINE void spread(uint64_t *to, const int8_t *x, const int8_t *end, uint64_t stride) {
    while (x != end) {
        const int8_t *stop = end - x > AWM_N4_CHUNK ? x + AWM_N4_CHUNK : end;
        uint64_t sum = 0;
        for (; x != stop; x += 4, to += 4 * stride) {
            const uint64_t x0 = (uint64_t)(int64_t)x[0], x1 = (uint64_t)(int64_t)x[1];
            const uint64_t x2 = (uint64_t)(int64_t)x[2], x3 = (uint64_t)(int64_t)x[3];
            sum += x0 + x1 + x2 + x3;
            to[0] = x0;
            to[stride] = x1 - (x0 << 4);
            to[2 * stride] = x2 - (x0 << 8);
            to[3 * stride] = x3 - (x0 << 12);
        }
        *to = (32768 - 8 * sum) * LANES;
        to += stride;
    }
}

void awm_n4_begin_swar(const awm_n4_args *a) {
    if (a->views == 1) {
        spread(a->lanes, a->x[0], a->x[0] + a->cols, 1);
        return;
    }
    spread(a->lanes, a->x[0], a->x[0] + a->cols, 2);
    spread(a->lanes + 1, a->x[1], a->x[1] + a->cols, 2);
}

#ifdef __bpf__

/* With ten registers LLVM spills; for SBF they are spelled out, as in awm_matvec_swar.c, here of whole functions:
 *
 *   r1 words, r2 lanes, r3 scales, r4 the mask, r5 a multiplier, r9 a product, four sums in r0, r6, r7, r8,
 *
 * which are the four quads of a block, or two quads of two views; then r3 is a product too. The VM keeps r6 to r9 of the
 * caller, and acc and lanes_end lie on the stack. */
#define LOAD(to, base, at) to " = *(u64 *)(" base " + " at ")\n"
#define STORE(base, at, from) "*(u64 *)(" base " + " at ") = " from "\n"
#define FROM_STACK(to, at) to " = *(u64 *)(r10 - " at ")\n"
#define TO_STACK(at, from) "*(u64 *)(r10 - " at ") = " from "\n"
#define MULTIPLY(sum, product, by) product " *= " by "\n" sum " += " product "\n"
#define SHIFT "r9 >>= 4\n"
#define MASK "r9 &= r4\n"

#define WORD(sum, at, isolate) LOAD("r9", "r1", at) isolate MULTIPLY(sum, "r9", "r5")
#define COLUMN(unit, i, byte, isolate) \
    LOAD("r5", "r2", "32 * " #unit " + 8 * " #i) \
    WORD("r0", "32 * " #unit " + " #byte, isolate) WORD("r6", "32 * " #unit " + 8 + " #byte, isolate) \
    WORD("r7", "32 * " #unit " + 16 + " #byte, isolate) WORD("r8", "32 * " #unit " + 24 + " #byte, isolate)

#define WORD_TWICE(sum, other, at, isolate, multiplier) \
    LOAD("r9", "r1", at) isolate LOAD("r3", "r2", multiplier) MULTIPLY(other, "r3", "r9") MULTIPLY(sum, "r9", "r5")
#define COLUMN_TWICE(unit, i, byte, isolate) \
    LOAD("r5", "r2", "64 * " #unit " + 16 * " #i) \
    WORD_TWICE("r0", "r6", "32 * " #unit " + " #byte, isolate, "64 * " #unit " + 16 * " #i " + 8") \
    WORD_TWICE("r7", "r8", "32 * " #unit " + 8 + " #byte, isolate, "64 * " #unit " + 16 * " #i " + 8")

#define QUAD_COLUMN(unit, i, byte, isolate) \
    LOAD("r5", "r2", "32 * " #unit " + 8 * " #i) WORD("r0", "8 * " #unit " + " #byte, isolate)
#define QUAD_COLUMN_TWICE(unit, i, byte, isolate) \
    LOAD("r5", "r2", "64 * " #unit " + 16 * " #i) \
    WORD_TWICE("r0", "r6", "8 * " #unit " + " #byte, isolate, "64 * " #unit " + 16 * " #i " + 8")

#define UNIT(column, unit) \
    __asm__ volatile(column(unit, 0, 0, "") column(unit, 1, 0, SHIFT MASK) column(unit, 2, 1, MASK) \
                     column(unit, 3, 1, SHIFT MASK));
#define CHUNK(column) \
    UNIT(column, 0) UNIT(column, 1) UNIT(column, 2) UNIT(column, 3) \
    UNIT(column, 4) UNIT(column, 5) UNIT(column, 6) UNIT(column, 7)

/* acc of a pair of rows += sum * scale. Here r1 is acc, r5 the mask of even lanes, r4 and r9 are free. */
#define ADD_PAIR(sum, scale, at) \
    "r4 = *(u8 *)(r3 + " scale ")\n" sum " *= r4\n" LOAD("r4", "r1", at) sum " += r4\n" STORE("r1", at, sum)
#define ADD_QUAD(sum, scale, at) \
    "r9 = " sum "\nr9 &= r5\n" ADD_PAIR("r9", scale, at) \
    sum " >>= 16\n" sum " &= r5\n" ADD_PAIR(sum, scale " + 1", at " + 8")
#define BIAS(sum) sum " += r5\n"
#define EVEN_TO_R5 "r5 = 0x0000FFFF0000FFFF ll\n"

#define BEGIN_CHUNK __asm__ volatile("r0 = 0\nr6 = 0\nr7 = 0\nr8 = 0\nr4 = 0x000F000F000F000F ll\n");
#define END_CHUNK \
    __asm__ volatile(LOAD("r5", "r2", "0") BIAS("r0") BIAS("r6") BIAS("r7") BIAS("r8") EVEN_TO_R5 \
                     TO_STACK("24", "r1") FROM_STACK("r1", "8") \
                     ADD_QUAD("r0", "0", "0") ADD_QUAD("r6", "2", "16") \
                     ADD_QUAD("r7", "4", "32") ADD_QUAD("r8", "6", "48") \
                     FROM_STACK("r1", "24") "r2 += 8\nr3 += 8\n");
/* 640 is 4 * AWM_CHUNK. */
#define END_CHUNK_TWICE \
    __asm__ volatile(LOAD("r5", "r2", "0") BIAS("r0") BIAS("r7") LOAD("r5", "r2", "8") BIAS("r6") BIAS("r8") EVEN_TO_R5 \
                     TO_STACK("24", "r1") FROM_STACK("r1", "8") FROM_STACK("r3", "32") \
                     ADD_QUAD("r0", "0", "0") ADD_QUAD("r6", "0", "640") \
                     ADD_QUAD("r7", "2", "16") ADD_QUAD("r8", "2", "640 + 16") \
                     "r3 += 8\n" TO_STACK("32", "r3") FROM_STACK("r1", "24") "r2 += 16\n");
#define END_QUAD \
    __asm__ volatile(LOAD("r5", "r2", "0") BIAS("r0") EVEN_TO_R5 FROM_STACK("r1", "8") ADD_QUAD("r0", "0", "0"));
#define END_QUAD_TWICE \
    __asm__ volatile(LOAD("r5", "r2", "0") BIAS("r0") LOAD("r5", "r2", "8") BIAS("r6") EVEN_TO_R5 \
                     FROM_STACK("r1", "8") FROM_STACK("r3", "32") \
                     ADD_QUAD("r0", "0", "0") ADD_QUAD("r6", "0", "640"));
#define SAVE_ARGUMENTS __asm__ volatile(TO_STACK("8", "r4") TO_STACK("16", "r5") TO_STACK("32", "r3"));
#define UNTIL_LANES_END __asm__ volatile(FROM_STACK("r5", "16") "if r2 != r5 goto 1b\n");
#define RETURN __asm__ volatile("exit\n");

AWM_STATIC_ASSERT(the_second_view_s_sums_are_640_bytes_on, 4 * AWM_CHUNK == 640);

#define KERNEL(name) \
    __attribute__((naked, noinline)) static void name(const uint8_t *words, const uint64_t *lanes, \
                                                      const uint8_t *scales, uint64_t *acc, \
                                                      const uint64_t *lanes_end)

/* Adds whole chunks, up to lanes_end, to the sums of a block; then those of two of its quads in two views, and the last
 * chunk of 8, 16 or 24 columns. */
KERNEL(whole_chunks) {
    SAVE_ARGUMENTS
    __asm__ volatile("1:\n");
    BEGIN_CHUNK
    CHUNK(COLUMN)
    __asm__ volatile("r1 += 256\nr2 += 256\n");
    END_CHUNK
    UNTIL_LANES_END
    RETURN
}

KERNEL(whole_chunks_twice) {
    SAVE_ARGUMENTS
    __asm__ volatile("1:\n");
    BEGIN_CHUNK
    CHUNK(COLUMN_TWICE)
    __asm__ volatile("r1 += 256\nr2 += 512\n");
    END_CHUNK_TWICE
    UNTIL_LANES_END
    RETURN
}

KERNEL(short_chunk) {
    SAVE_ARGUMENTS
    BEGIN_CHUNK
    __asm__ volatile("1:\n");
    UNIT(COLUMN, 0) UNIT(COLUMN, 1)
    __asm__ volatile("r1 += 64\nr2 += 64\n");
    UNTIL_LANES_END
    END_CHUNK
    RETURN
}

KERNEL(short_chunk_twice) {
    SAVE_ARGUMENTS
    BEGIN_CHUNK
    __asm__ volatile("1:\n");
    UNIT(COLUMN_TWICE, 0) UNIT(COLUMN_TWICE, 1)
    __asm__ volatile("r1 += 64\nr2 += 128\n");
    UNTIL_LANES_END
    END_CHUNK_TWICE
    RETURN
}

/* Adds a chunk of any size to the sums of a quad that is no part of a block. */
KERNEL(quad_chunk) {
    SAVE_ARGUMENTS
    BEGIN_CHUNK
    __asm__ volatile("1:\n");
    UNIT(QUAD_COLUMN, 0) UNIT(QUAD_COLUMN, 1)
    __asm__ volatile("r1 += 16\nr2 += 64\n");
    UNTIL_LANES_END
    END_QUAD
    RETURN
}

KERNEL(quad_chunk_twice) {
    SAVE_ARGUMENTS
    BEGIN_CHUNK
    __asm__ volatile("1:\n");
    UNIT(QUAD_COLUMN_TWICE, 0) UNIT(QUAD_COLUMN_TWICE, 1)
    __asm__ volatile("r1 += 16\nr2 += 128\n");
    UNTIL_LANES_END
    END_QUAD_TWICE
    RETURN
}

static void blocks(const awm_n4_args *a) {
    const uint64_t chunks = awm_n4_chunks(a), whole = a->cols / AWM_N4_CHUNK, rest = a->cols % AWM_N4_CHUNK;
    const uint64_t *lanes = a->lanes, *end = lanes + whole * (AWM_N4_CHUNK + 1);
    const uint8_t *words = a->words, *scales = a->scales;
    uint64_t *acc = (uint64_t *)a->acc, *stop = acc + a->rows / AWM_N4_BLOCK * 8;
    for (; acc != stop; acc += 8, words += 8 * (uint64_t)a->cols, scales += 8 * chunks) {
        acc[0] = acc[1] = acc[2] = acc[3] = acc[4] = acc[5] = acc[6] = acc[7] = 0;
        if (whole) whole_chunks(words, lanes, scales, acc, end);
        if (rest) short_chunk(words + 256 * whole, end, scales + 8 * whole, acc, end + rest);
    }
}

/* Two quads of both views at a time: half a block. */
static void blocks_twice(const awm_n4_args *a) {
    const uint64_t chunks = awm_n4_chunks(a), whole = a->cols / AWM_N4_CHUNK, rest = a->cols % AWM_N4_CHUNK;
    const uint64_t *lanes = a->lanes, *end = lanes + 2 * whole * (AWM_N4_CHUNK + 1);
    const uint8_t *words = a->words, *scales = a->scales;
    uint64_t *acc = (uint64_t *)a->acc, *stop = acc + a->rows / AWM_N4_BLOCK * 8, half = 0;
    for (; acc != stop; acc += 4) {
        acc[0] = acc[1] = acc[2] = acc[3] = acc[80] = acc[81] = acc[82] = acc[83] = RAISED;
        if (whole) whole_chunks_twice(words, lanes, scales, acc, end);
        if (rest) short_chunk_twice(words + 256 * whole, end, scales + 8 * whole, acc, end + 2 * rest);
        words += half ? 8 * (uint64_t)a->cols - 16 : 16;
        scales += half ? 8 * chunks - 4 : 4;
        half ^= 1;
    }
}

static void quad(const awm_n4_args *a, const uint8_t *words, const uint8_t *scales, uint64_t *acc) {
    const uint64_t views = a->views, *lanes = a->lanes;
    uint64_t left = a->cols;
    acc[0] = acc[1] = views == 2 ? RAISED : 0;
    if (views == 2) acc[80] = acc[81] = RAISED;
    while (left) {
        const uint64_t cols = left > AWM_N4_CHUNK ? AWM_N4_CHUNK : left, *end = lanes + views * cols;
        if (views == 1)
            quad_chunk(words, lanes, scales, acc, end);
        else
            quad_chunk_twice(words, lanes, scales, acc, end);
        words += 2 * cols, scales += 2, left -= cols;
        lanes = end + views;
    }
}

#else

/* A block of quads words a unit, one view. */
AWM_INLINE void sum_block(const awm_n4_args *a, const uint8_t *words, const uint8_t *scales, uint64_t *acc,
                          uint32_t view, uint32_t quads) {
    const uint64_t *x = a->lanes + view;
    const uint64_t stride = a->views;
    uint32_t left = a->cols, i;
    for (i = 0; i < 2 * quads; i++) acc[i] = 0;
    while (left) {
        const uint32_t cols = left > AWM_N4_CHUNK ? AWM_N4_CHUNK : left;
        const uint64_t *end = x + cols * stride;
        uint64_t sum[4] = {0, 0, 0, 0};
        for (; x != end; x += 4 * stride) {
            for (i = 0; i < quads; i++, words += 8) {
                const uint64_t v = awm_load64(words);
                sum[i] += v * x[0] + (v >> 4 & NIBBLES) * x[stride] + (v >> 8 & NIBBLES) * x[2 * stride]
                        + (v >> 12 & NIBBLES) * x[3 * stride];
            }
        }
        for (i = 0; i < quads; i++, scales += 2) {
            sum[i] += *x;
            acc[2 * i] += (sum[i] & EVEN_LANES) * scales[0];
            acc[2 * i + 1] += (sum[i] >> 16 & EVEN_LANES) * scales[1];
        }
        x += stride;
        left -= cols;
    }
}

static void blocks(const awm_n4_args *a) {
    const uint8_t *words = a->words, *scales = a->scales;
    uint64_t *acc = (uint64_t *)(void *)a->acc;
    uint32_t left, view;
    for (left = a->rows; left >= AWM_N4_BLOCK; left -= AWM_N4_BLOCK) {
        for (view = 0; view < a->views; view++) sum_block(a, words, scales, acc + view * AWM_CHUNK / 2, view, 4);
        acc += AWM_N4_BLOCK / 2;
        words += 8 * (uint64_t)a->cols;
        scales += 8 * awm_n4_chunks(a);
    }
}
#define blocks_twice blocks

static void quad(const awm_n4_args *a, const uint8_t *words, const uint8_t *scales, uint64_t *acc) {
    uint32_t view;
    for (view = 0; view < a->views; view++) sum_block(a, words, scales, acc + view * AWM_CHUNK / 2, view, 1);
}

#endif

void awm_n4_swar(const awm_n4_args *a) {
    awm_n4_args rest = *a;
    uint32_t row = a->rows & ~(AWM_N4_BLOCK - 1u);
    if (a->views == 1)
        blocks(a);
    else
        blocks_twice(a);
    for (awm_n4_skip(&rest, row); row < a->rows; row += 4, awm_n4_skip(&rest, 4))
        quad(a, rest.words, rest.scales, (uint64_t *)(void *)(a->acc + row));
}
