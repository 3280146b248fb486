#!/bin/sh
# Measures spandsp's G.722 for benches/codecs.rs: µs for 20 ms of the same buzz, the minimum of many batches.
# Needs a C compiler and spandsp (Debian: libspandsp-dev). SPANDSP_CFLAGS adds flags, such as -I and -L.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat >"$dir/g722.c" <<'C'
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <spandsp.h>

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static int16_t samples[16000], out[320];
static uint8_t payload[8000], bytes[160];

int main(void)
{
    double best_encode = 1e18, best_decode = 1e18;
    for (int i = 0; i < 16000; i++) {
        double buzz = 0;
        for (int k = 1; k < 60; k++)
            buzz += cos(0.0432 * i * k) / k;
        samples[i] = (int16_t)fmin(32767, 4000 * buzz);
    }
    g722_encode_state_t *encoder = g722_encode_init(NULL, 64000, 0);
    g722_decode_state_t *decoder = g722_decode_init(NULL, 64000, 0);
    g722_encode(g722_encode_init(NULL, 64000, 0), payload, samples, 16000);
    for (int batch = 0; batch < 300; batch++) {
        double start = now_us();
        for (int frame = 0; frame < 50; frame++)
            g722_encode(encoder, bytes, samples + 320 * frame, 320);
        best_encode = fmin(best_encode, (now_us() - start) / 50);
        start = now_us();
        for (int frame = 0; frame < 50; frame++)
            g722_decode(decoder, out, payload + 160 * frame, 160);
        best_decode = fmin(best_decode, (now_us() - start) / 50);
    }
    printf("g722/encode 20 ms/spandsp %.2f us\ng722/decode 20 ms/spandsp %.2f us\n", best_encode, best_decode);
    return 0;
}
C
# shellcheck disable=SC2086
${CC:-cc} -O3 -o "$dir/g722" "$dir/g722.c" ${SPANDSP_CFLAGS:-} -lspandsp -lm && "$dir/g722"
