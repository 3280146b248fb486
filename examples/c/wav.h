/*
 * WAV files of 16-bit samples, as much of them as the examples here need: reading mono, writing any number of channels.
 *
 * A file that is being written has lengths of 0 in its header until wav_end: nobody takes half a recording for a whole.
 */
#ifndef WAV_H
#define WAV_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { WAV_HEADER_BYTES = 44 };

static inline uint32_t wav_number(const uint8_t *bytes, unsigned len)
{
    uint32_t number = 0;
    while (len-- > 0) {
        number = number << 8 | bytes[len];
    }
    return number;
}

static inline void wav_put(uint8_t *bytes, unsigned len, uint32_t number)
{
    for (; len-- > 0; number >>= 8) {
        *bytes++ = (uint8_t)number;
    }
}

/* Reads up to the first sample, and says at which rate and how many bytes they are; false if not mono, 16-bit PCM. */
static inline bool wav_open(FILE *file, uint32_t *rate_hz, uint32_t *data_bytes)
{
    uint8_t head[12], format[40];
    bool is_known = false;
    if (fread(head, 1, 12, file) != 12 || memcmp(head, "RIFF", 4) != 0 || memcmp(head + 8, "WAVE", 4) != 0) {
        return false;
    }
    while (fread(head, 1, 8, file) == 8) {
        uint32_t len = wav_number(head + 4, 4);
        if (memcmp(head, "data", 4) == 0) {
            *data_bytes = len;
            return is_known;
        }
        uint32_t kept = 0;
        if (memcmp(head, "fmt ", 4) == 0) {
            kept = len < sizeof format ? len : (uint32_t)sizeof format;
            if (len < 16 || fread(format, 1, kept, file) != kept) {
                return false;
            }
            /* 0xfffe: the kind is at the beginning of a GUID further on. */
            uint32_t kind = wav_number(format, 2);
            kind = kind == 0xfffe && kept >= 26 ? wav_number(format + 24, 2) : kind;
            *rate_hz = wav_number(format + 4, 4);
            is_known = kind == 1 && wav_number(format + 2, 2) == 1 && wav_number(format + 14, 2) == 16;
        }
        /* Chunks have an even length; read over the rest, as a pipe cannot be sought. */
        for (uint64_t rest = (uint64_t)len + len % 2 - kept; rest > 0; rest--) {
            if (getc(file) == EOF) {
                return false;
            }
        }
    }
    return false;
}

/* Writes a header without lengths. */
static inline bool wav_begin(FILE *file, uint32_t rate_hz, unsigned channels)
{
    uint8_t header[WAV_HEADER_BYTES] = "RIFF....WAVEfmt ";
    memset(header + 4, 0, 4);
    wav_put(header + 16, 4, 16);
    wav_put(header + 20, 2, 1);
    wav_put(header + 22, 2, channels);
    wav_put(header + 24, 4, rate_hz);
    wav_put(header + 28, 4, rate_hz * channels * 2);
    wav_put(header + 32, 2, channels * 2);
    wav_put(header + 34, 2, 16);
    memcpy(header + 36, "data", 4);
    return fwrite(header, 1, sizeof header, file) == sizeof header;
}

static inline bool wav_write(FILE *file, const int16_t *samples, size_t len)
{
    uint8_t bytes[2 * 512];
    while (len > 0) {
        size_t n = len < 512 ? len : 512;
        for (size_t i = 0; i < n; i++) {
            wav_put(bytes + 2 * i, 2, (uint16_t)samples[i]);
        }
        if (fwrite(bytes, 2, n, file) != n) {
            return false;
        }
        samples += n;
        len -= n;
    }
    return true;
}

/* Completes the header; the file stays open. */
static inline bool wav_end(FILE *file)
{
    long end = ftell(file);
    uint8_t length[4];
    if (end < WAV_HEADER_BYTES || (uint64_t)end > UINT32_MAX) {
        return false;
    }
    wav_put(length, 4, (uint32_t)end - 8);
    if (fseek(file, 4, SEEK_SET) != 0 || fwrite(length, 1, 4, file) != 4) {
        return false;
    }
    wav_put(length, 4, (uint32_t)end - WAV_HEADER_BYTES);
    return fseek(file, 40, SEEK_SET) == 0 && fwrite(length, 1, 4, file) == 4 && fflush(file) == 0;
}

#endif
