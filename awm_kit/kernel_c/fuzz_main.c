/* fuzz_main.c: drives fuzz_kernel.c where there is no libFuzzer: keeps the inputs that reach code which none did.
 *
 *   fuzz_kernel SEED EXECUTIONS INPUT...
 *
 * Compiled with GCC's -fsanitize-coverage=trace-pc, which calls back at every edge. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
void __sanitizer_cov_trace_pc(void);

#ifdef __clang__
#define NOT_TRACED __attribute__((no_sanitize("coverage")))
#else
#define NOT_TRACED __attribute__((no_sanitize_coverage))
#endif

enum { EDGES = 1 << 16, MAX_CORPUS = 4096, MAX_INPUT = 1 << 20 };

static uint8_t seen[EDGES];
static unsigned long n_edges, fresh;
static uint64_t rng_state;

NOT_TRACED void __sanitizer_cov_trace_pc(void) {
    uint64_t pc = (uint64_t)(uintptr_t)__builtin_return_address(0);
    uint32_t at = (uint32_t)(pc * 0x9E3779B97F4A7C15u >> 48);
    fresh += !seen[at];
    seen[at] = 1;
}

typedef struct input {
    uint8_t *bytes;
    size_t size;
} input;

NOT_TRACED static uint64_t rng(uint64_t below) {
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    rng_state ^= rng_state << 17;
    return (rng_state >> 11) % below;
}

NOT_TRACED static input copy(const uint8_t *bytes, size_t size) {
    input in;
    in.size = size;
    in.bytes = malloc(size ? size : 1);
    memcpy(in.bytes, bytes, size);
    return in;
}

/* A bit, a byte, or a word next to a limit; a span moved within the input or from another; rarely a cut. */
NOT_TRACED static void mutate(input *in, const input *other) {
    static const uint32_t words[] = {0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000u,
                                     0xFFFFFFFFu};
    uint64_t head = in->size < 600 ? in->size : 600, at = rng(rng(3) ? head : in->size), size = (uint64_t)1 << rng(3);
    uint32_t word = rng(3) ? words[rng(sizeof words / sizeof *words)] : (uint32_t)rng(4096);
    switch (rng(16)) {
    case 0: in->size = 1 + rng(in->size); return;
    case 1:
    case 2:
        size = 1 + rng(64);
        if (at + size > in->size || size > other->size) return;
        memcpy(in->bytes + at, other->bytes + rng(other->size - size + 1), size);
        return;
    case 3:
    case 4:
    case 5: in->bytes[at] ^= (uint8_t)(1u << rng(8)); return;
    default:
        at -= at % size;
        if (at + size <= in->size) memcpy(in->bytes + at, &word, size);
    }
}

NOT_TRACED static input read_file(const char *path) {
    static uint8_t bytes[MAX_INPUT];
    FILE *f = fopen(path, "rb");
    size_t size = f ? fread(bytes, 1, sizeof bytes, f) : 0;
    if (!f || !size) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(2);
    }
    fclose(f);
    return copy(bytes, size);
}

NOT_TRACED int main(int argc, char **argv) {
    static input corpus[MAX_CORPUS];
    unsigned long n, executions, first;
    uint64_t n_corpus = 0;
    int i;
    if (argc < 4) return 2;
    rng_state = 0x9E3779B97F4A7C15u + strtoul(argv[1], 0, 10);
    executions = strtoul(argv[2], 0, 10);
    for (i = 3; i < argc && n_corpus < MAX_CORPUS; i++) {
        corpus[n_corpus] = read_file(argv[i]);
        LLVMFuzzerTestOneInput(corpus[n_corpus].bytes, corpus[n_corpus].size);
        n_corpus++;
    }
    first = fresh;
    for (n = 0; n < executions; n++) {
        input from = corpus[rng(n_corpus)], in = copy(from.bytes, from.size);
        uint64_t changes = 1 + rng(4);
        for (; changes; changes--) mutate(&in, corpus + rng(n_corpus));
        fresh = 0;
        LLVMFuzzerTestOneInput(in.bytes, in.size);
        n_edges += fresh;
        if (fresh && n_corpus < MAX_CORPUS)
            corpus[n_corpus++] = in;
        else
            free(in.bytes);
    }
    for (i = 0; i < (int)n_corpus; i++) free(corpus[i].bytes);
    printf("seed_edges=%lu new_edges=%lu corpus=%lu\n", first, n_edges, (unsigned long)n_corpus);
    return 0;
}
