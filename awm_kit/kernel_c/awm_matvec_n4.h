/* awm_matvec_n4.h: products with 4-bit weights (format N4); the contract of its variants.
 *
 * A matrix is cut into blocks of 16 rows; rows that are left over (up to 15, zeros added) make quads of four. Columns
 * are cut into chunks of 32, the last of 8, 16, 24 or 32. Two rows of a quad share a scale, 0..255, in each chunk.
 *
 *   block: for every 4 columns c, for every quad of the block: a word of 64 bits. Its lane of 16 bits at 0, 32, 16, 48
 *   is row 0, 1, 2, 3 of the quad, its bits 4 i .. 4 i + 3 are w[row][c + i] + 8. A quad that is left over is a block
 *   of one quad.
 *   scales, behind all words: for every block, for every chunk, for every quad: a byte for rows 0 and 1, one for rows
 *   2 and 3; zeros up to a multiple of 8 bytes.
 *
 *     acc[r] = sum over chunks of scale * (32768 + sum over its columns of w x)
 *
 * Weights are -7..7 (nibbles 1..15): |sum w x| <= 32 * 7 * 128 = 28672, so that 32768 + sum fits 16 bits and every
 * variant may sum modulo 2^16. Nibbles of 0 may disturb a neighbouring lane: another result, no bad access.
 * cols <= 2048: for any bytes 0 <= acc <= 64 * 255 * 65535 < 2^30. The rows' biases take the constant part off. */
#ifndef AWM_MATVEC_N4_H
#define AWM_MATVEC_N4_H

#include "awm_ops.h"

enum {
    AWM_N4_CHUNK = 32,
    AWM_N4_BLOCK = 16,
    AWM_N4_MAX_COLS = 2048
};

/* Bytes that the words and the scales of a matrix take. */
AWM_INLINE uint64_t awm_n4_words(uint64_t rows, uint64_t cols) {
    return (rows + 3) / 4 * 2 * cols;
}

AWM_INLINE uint64_t awm_n4_scales(uint64_t rows, uint64_t cols) {
    return ((rows + 3) / 4 * 2 * ((cols + AWM_N4_CHUNK - 1) / AWM_N4_CHUNK) + 7) & ~(uint64_t)7;
}

/* Bytes that awm_n4_begin fills: for each view a word for a column and one for a chunk. */
AWM_INLINE uint64_t awm_n4_lanes(uint64_t cols, uint64_t views) {
    return 8 * views * (cols + (cols + AWM_N4_CHUNK - 1) / AWM_N4_CHUNK);
}

/* The products of one matrix with the vectors of one or two views, which share what it takes to unpack the weights.
 * rows is at most AWM_CHUNK, a multiple of 16 unless they are the matrix's last; the sums of the second view are at
 * acc + AWM_CHUNK. On SBF those of two views are AWM_RAISE larger. acc, words and lanes are aligned to 8; sums up to the next
 * multiple of 4 rows are written. */
typedef struct awm_n4_args {
    int32_t *acc;
    const uint8_t *words, *scales;
    const int8_t *x[2];
    uint64_t *lanes;
    uint32_t rows, cols, views;
    uint32_t backend;
} awm_n4_args;

void awm_n4_begin(const awm_n4_args *a);
void awm_n4_matvec(const awm_n4_args *a);

void awm_n4_begin_swar(const awm_n4_args *a);
void awm_n4_swar(const awm_n4_args *a);
#ifndef AWM_PORTABLE_ONLY
void awm_n4_begin_avx2(const awm_n4_args *a);
void awm_n4_portable(const awm_n4_args *a);
void awm_n4_avx2(const awm_n4_args *a);
void awm_n4_begin_avx512vnni(const awm_n4_args *a);
void awm_n4_avx512vnni(const awm_n4_args *a);
void awm_n4_neon(const awm_n4_args *a);
#endif

AWM_INLINE uint32_t awm_n4_chunks(const awm_n4_args *a) {
    return (a->cols + AWM_N4_CHUNK - 1) / AWM_N4_CHUNK;
}

/* Moves on by rows of the matrix: whole blocks, or the last rows. */
AWM_INLINE void awm_n4_skip(awm_n4_args *a, uint32_t rows) {
    a->words += awm_n4_words(rows, a->cols);
    a->scales += (rows + 3) / 4 * 2 * awm_n4_chunks(a);
}

#endif
