/* awm_team.c: threads that share the work of every op of a frame, for native callers that ask for them. */
#include "awm_ops.h"

#ifndef AWM_PORTABLE_ONLY
#include <pthread.h>
#include <sched.h>

enum {
    MOST = 16,
    BUSY = 128,     /* turns of waiting before a thread offers its core to others: a microsecond */
    AWAKE = 1 << 15 /* turns of waiting for a frame before it sleeps: some fifty microseconds */
};

struct awm_team {
    uint32_t arrived, turn; /* the barrier between ops */
    uint32_t frame;         /* counts frames; the others begin when it changes */
    uint32_t n, stop;
    const awm_model *model;
    const awm_match *match;
    pthread_mutex_t mutex;
    pthread_cond_t begin;
    pthread_t threads[MOST];
    uint32_t next_rank;
};

static void pause_core(uint32_t turns) {
    if (turns % BUSY == BUSY - 1) sched_yield();
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static uint32_t now(const uint32_t *p) {
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

/* Returns once all threads are here: what each wrote before, all see after. */
static void meet(awm_team *team) {
    const uint32_t turn = now(&team->turn);
    uint32_t turns;
    if (__atomic_add_fetch(&team->arrived, 1, __ATOMIC_ACQ_REL) == team->n) {
        team->arrived = 0;
        __atomic_store_n(&team->turn, turn + 1, __ATOMIC_RELEASE);
    } else {
        for (turns = 0; now(&team->turn) == turn; turns++) pause_core(turns);
    }
}

static void work(awm_team *team, uint32_t rank) {
    const uint32_t n_ops = awm_n_ops(team->model);
    uint32_t i;
    for (i = 0; i < n_ops; i++) {
        awm_run_share(team->model, team->match, i, rank, team->n);
        if (awm_shares_meet(team->model, i, team->n)) meet(team);
    }
}

/* The number of the next frame, or of the last one if the team stops. */
static uint32_t wait_for_frame(awm_team *team, uint32_t seen) {
    uint32_t turns;
    for (turns = 0; turns < AWAKE && now(&team->frame) == seen; turns++) pause_core(turns);
    pthread_mutex_lock(&team->mutex);
    while (team->frame == seen) pthread_cond_wait(&team->begin, &team->mutex);
    seen = team->frame;
    pthread_mutex_unlock(&team->mutex);
    return seen;
}

static void *member(void *argument) {
    awm_team *team = (awm_team *)argument;
    const uint32_t rank = __atomic_fetch_add(&team->next_rank, 1, __ATOMIC_RELAXED);
    uint32_t seen = 0;
    for (;;) {
        seen = wait_for_frame(team, seen);
        if (team->stop) return 0;
        work(team, rank);
    }
}

static void begin(awm_team *team, const awm_model *model, const awm_match *match, uint32_t stop) {
    pthread_mutex_lock(&team->mutex);
    team->model = model;
    team->match = match;
    team->stop = stop;
    __atomic_store_n(&team->frame, team->frame + 1, __ATOMIC_RELEASE);
    pthread_cond_broadcast(&team->begin);
    pthread_mutex_unlock(&team->mutex);
}

uint32_t awm_team_bytes(void) {
    return sizeof(awm_team);
}

int awm_team_start(awm_team *team, uint32_t n) {
    if (n < 1 || n > MOST) return AWM_ERR_THREADS;
    team->arrived = team->turn = team->frame = team->stop = 0;
    team->n = team->next_rank = 1;
    pthread_mutex_init(&team->mutex, 0);
    pthread_cond_init(&team->begin, 0);
    for (; team->n < n; team->n++) {
        if (pthread_create(&team->threads[team->n], 0, member, team)) {
            awm_team_stop(team);
            return AWM_ERR_THREADS;
        }
    }
    return AWM_OK;
}

void awm_team_stop(awm_team *team) {
    uint32_t i;
    begin(team, 0, 0, 1);
    for (i = 1; i < team->n; i++) pthread_join(team->threads[i], 0);
    pthread_cond_destroy(&team->begin);
    pthread_mutex_destroy(&team->mutex);
}

int awm_team_step(awm_team *team, const awm_model *model, const awm_match *match) {
    const int error = awm_run(model, match, 0, 0); /* checks its arguments */
    if (error) return error;
    if (model->last_op != awm_n_ops(model)) return AWM_ERR_RANGE;
    begin(team, model, match, 0);
    work(team, 0);
    return AWM_OK;
}

#else
AWM_STATIC_ASSERT(this_target_has_no_threads, 1);
#endif
