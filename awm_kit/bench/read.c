/* read.c: how fast one core can read memory, by doing nothing else with it. Built with -march=native. */
#include <stddef.h>
#include <stdint.h>

typedef uint64_t vector __attribute__((vector_size(64)));

/* Eight sums, so that additions do not wait for each other. n_vectors is a multiple of 8, p aligned to 64. */
uint64_t awm_read(const vector *p, uint64_t n_vectors) {
    const vector *end = p + n_vectors;
    vector s[8] = {{0}};
    uint64_t total = 0;
    int i;
    for (; p != end; p += 8) {
        s[0] ^= p[0], s[1] ^= p[1], s[2] ^= p[2], s[3] ^= p[3];
        s[4] ^= p[4], s[5] ^= p[5], s[6] ^= p[6], s[7] ^= p[7];
    }
    for (i = 0; i < 8; i++) total ^= s[i][0] ^ s[i][1] ^ s[i][2] ^ s[i][3] ^ s[i][4] ^ s[i][5] ^ s[i][6] ^ s[i][7];
    return total;
}
