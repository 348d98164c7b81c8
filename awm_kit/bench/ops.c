/* ops.c: what each op of a frame takes, by running them one at a time. */
#define _POSIX_C_SOURCE 199309L
#include <stdint.h>
#include <time.h>

typedef int (*run_ops)(const void *model, const void *match, uint32_t begin, uint32_t end);

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* One frame. Lowers least[i] to the nanoseconds of op i where it took less, least[n] to those of no op; returns an
 * error of run. */
int awm_time_ops(run_ops run, const void *model, const void *match, uint32_t n, uint64_t *least) {
    uint64_t begun = now(), ended;
    uint32_t i;
    run(model, match, 0, 0);
    ended = now();
    if (ended - begun < least[n]) least[n] = ended - begun;
    begun = ended;
    for (i = 0; i < n; i++) {
        const int error = run(model, match, i, i + 1);
        ended = now();
        if (error) return error;
        if (ended - begun < least[i]) least[i] = ended - begun;
        begun = ended;
    }
    return 0;
}
