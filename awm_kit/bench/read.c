/* read.c: how fast one core can read memory, by doing nothing else with it. Built with -march=native. */
#include <stddef.h>
#include <stdint.h>

typedef uint64_t vector __attribute__((vector_size(64)));

/* Eight sums, so that additions do not wait for each other. */
static uint64_t total(const vector *s) {
    uint64_t sum = 0;
    int i, k;
    for (i = 0; i < 8; i++)
        for (k = 0; k < 8; k++) sum ^= s[i][k];
    return sum;
}

/* From the begin to the end. n_vectors is a multiple of 8, p aligned to 64. */
uint64_t awm_read(const vector *p, uint64_t n_vectors) {
    const vector *end = p + n_vectors;
    vector s[8] = {{0}};
    for (; p != end; p += 8) {
        s[0] ^= p[0], s[1] ^= p[1], s[2] ^= p[2], s[3] ^= p[3];
        s[4] ^= p[4], s[5] ^= p[5], s[6] ^= p[6], s[7] ^= p[7];
    }
    return total(s);
}

/* Four quarters side by side, which prefetchers sometimes follow better. */
uint64_t awm_read_quarters(const vector *p, uint64_t n_vectors) {
    const uint64_t quarter = n_vectors / 4;
    const vector *end = p + quarter, *q = p + quarter, *r = q + quarter, *t = r + quarter;
    vector s[8] = {{0}};
    for (; p != end; p += 2, q += 2, r += 2, t += 2) {
        s[0] ^= p[0], s[1] ^= p[1], s[2] ^= q[0], s[3] ^= q[1];
        s[4] ^= r[0], s[5] ^= r[1], s[6] ^= t[0], s[7] ^= t[1];
    }
    return total(s);
}
