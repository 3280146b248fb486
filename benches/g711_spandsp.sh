#!/bin/sh
# Measures spandsp's G.711 for benches/codecs.rs: ns for 160 and 8,000 samples, the minimum of many batches.
# Needs a C compiler and spandsp's headers (Debian: libspandsp-dev). SPANDSP_CFLAGS adds flags, such as -I.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat >"$dir/g711.c" <<'C'
#define _POSIX_C_SOURCE 200809L
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <spandsp.h>

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

#define MEASURE(name, statement)                                                                                       \
    do {                                                                                                               \
        double best = 1e18;                                                                                            \
        for (int batch = 0; batch < 300; batch++) {                                                                    \
            double start = now_ns();                                                                                   \
            for (int round = 0; round < rounds; round++) {                                                             \
                for (int i = 0; i < len; i++)                                                                          \
                    statement;                                                                                         \
                __asm__ volatile("" ::: "memory");                                                                     \
            }                                                                                                          \
            double took = (now_ns() - start) / rounds;                                                                 \
            best = took < best ? took : best;                                                                          \
        }                                                                                                              \
        printf("%s/spandsp/%d %.1f ns\n", name, len, best);                                                            \
    } while (0)

static int16_t samples[8000];
static uint8_t bytes[8000];

int main(void)
{
    static const int lengths[] = {160, 8000};
    for (int l = 0; l < 2; l++) {
        int len = lengths[l], rounds = 400000 / len;
        uint32_t state = 1;
        for (int i = 0; i < len; i++) {
            state = state * 1664525u + 1013904223u;
            samples[i] = (int16_t)(state >> 16);
        }
        MEASURE("encode ulaw", bytes[i] = linear_to_ulaw(samples[i]));
        MEASURE("decode ulaw", samples[i] = ulaw_to_linear(bytes[i]));
        for (int i = 0; i < len; i++) {
            state = state * 1664525u + 1013904223u;
            samples[i] = (int16_t)(state >> 16);
        }
        MEASURE("encode alaw", bytes[i] = linear_to_alaw(samples[i]));
        MEASURE("decode alaw", samples[i] = alaw_to_linear(bytes[i]));
    }
    return 0;
}
C
# G.711 is inline in the headers, so nothing is linked.
# shellcheck disable=SC2086
${CC:-cc} -O3 ${SPANDSP_CFLAGS:-} -o "$dir/g711" "$dir/g711.c" && "$dir/g711"
