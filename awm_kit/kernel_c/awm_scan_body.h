/* awm_scan_body.h: the selective scan as plain loops, included once per target that compilers vectorise it for.
 * AWM_SCAN is the function's name and attributes. bc holds d_state int16 of B, then of C. */
AWM_SCAN(const awm_scan_args *a) {
    const int16_t *b = (const int16_t *)(const void *)a->bc, *c = b + a->d_state;
    int16_t *h = a->h;
    const int32_t decay = (int32_t)a->decay;
    uint32_t p, n;
    for (p = 0; p < a->headdim; p++, h += a->d_state) {
        const int32_t x = (int32_t)awm_scan_input(a, a->x[p]); /* limit <= 2^30 */
        int32_t y = 0;
        for (n = 0; n < a->d_state; n++) {
            int32_t t = (h[n] * decay + b[n] * x + 16384) >> 15;
            h[n] = (int16_t)t;
            y += c[n] * t;
        }
        a->v[p] = awm_scan_output(a, y, a->x[p], a->z[p]);
    }
}
#undef AWM_SCAN
