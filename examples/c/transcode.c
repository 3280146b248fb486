/*
 * Converts between files of telephony: transcode [-r RATE] IN OUT
 *
 * What is in a file, its ending says, as Asterisk names them:
 *
 *   .wav                 16-bit samples, mono, any rate from 8,000 to 192,000 Hz
 *   .sln .sln16 .sln48   bare 16-bit samples, little-endian, at 8,000, 16,000 and 48,000 Hz
 *   .ulaw .alaw          G.711, 8,000 Hz
 *   .g722                G.722 at 64 kbit/s, 16,000 Hz
 *   .opk                 Opus packets: each is led by its length, two bytes with the higher first; here of 20 ms
 *
 * RATE is that of a .wav or .opk that is written (else it is IN's, or 48,000), and that at which Opus is decoded.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <talkpath.h>

#include "wav.h"

enum {
    MOST_SAMPLES = 192000 / 1000 * 120, /* 120 ms, the longest packet of Opus, at the highest rate */
    MOST_BYTES = 65535,
};

struct kind {
    const char *ending;
    int32_t codec;
    uint32_t rate_hz; /* 0: any */
    bool is_wav, is_packets;
};

static const struct kind KINDS[] = {
    {".wav", TALKPATH_CODEC_SLIN, 0, true, false},      {".sln", TALKPATH_CODEC_SLIN, 8000, false, false},
    {".sln16", TALKPATH_CODEC_SLIN, 16000, false, false}, {".sln48", TALKPATH_CODEC_SLIN, 48000, false, false},
    {".ulaw", TALKPATH_CODEC_ULAW, 8000, false, false}, {".alaw", TALKPATH_CODEC_ALAW, 8000, false, false},
    {".g722", TALKPATH_CODEC_G722, 16000, false, false}, {".opk", TALKPATH_CODEC_OPUS, 0, false, true},
};

struct input {
    const struct kind *kind;
    FILE *file;
    uint32_t rate_hz;
    uint64_t rest_bytes; /* of a .wav */
    TalkpathDecoder *decoder;
};

struct output {
    const struct kind *kind;
    FILE *file;
    uint32_t rate_hz;
    TalkpathEncoder *encoder;
    int16_t frame[192000 / 50]; /* what waits until it is 20 ms */
    size_t waiting;
};

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "transcode: %s: %s\n", what, why);
    exit(1);
}

static void check(TalkpathStatus status, const char *what)
{
    if (status != TALKPATH_STATUS_OK) {
        char text[256];
        size_t needed = 0;
        talkpath_last_error(text, sizeof text, &needed);
        fail(what, needed > 0 ? text : talkpath_status_str((int32_t)status));
    }
}

static const struct kind *kind_of(const char *path)
{
    const char *ending = strrchr(path, '.');
    for (size_t i = 0; ending != NULL && i < sizeof KINDS / sizeof *KINDS; i++) {
        if (strcmp(ending, KINDS[i].ending) == 0) {
            return &KINDS[i];
        }
    }
    fail(path, "unknown ending, wanted .wav, .sln, .sln16, .sln48, .ulaw, .alaw, .g722 or .opk");
    return NULL;
}

static void open_input(struct input *in, const char *path, uint32_t rate_hz)
{
    in->kind = kind_of(path);
    in->rate_hz = in->kind->rate_hz;
    in->file = fopen(path, "rb");
    if (in->file == NULL) {
        fail(path, strerror(errno));
    }
    if (in->kind->is_wav) {
        uint32_t data_bytes = 0;
        if (!wav_open(in->file, &in->rate_hz, &data_bytes)) {
            fail(path, "not a WAV file of 16-bit mono samples");
        }
        in->rest_bytes = data_bytes;
    } else if (in->kind->is_packets) {
        in->rate_hz = rate_hz != 0 ? rate_hz : 48000;
    }
    check(talkpath_decoder_new(in->kind->codec, in->rate_hz, &in->decoder), path);
}

/* Reads 20 ms, or a packet, into `bytes`; 0 at the end. */
static size_t read_bytes(struct input *in, uint8_t *bytes, const char *path)
{
    size_t wanted = in->rate_hz / 50;
    if (in->kind->is_packets) {
        uint8_t length[2];
        size_t got = fread(length, 1, 2, in->file);
        if (got == 0) {
            return 0;
        }
        wanted = (size_t)(length[0] << 8 | length[1]);
        if (got != 2 || wanted == 0 || fread(bytes, 1, wanted, in->file) != wanted) {
            fail(path, "ends within a packet, or holds an empty one");
        }
        return wanted;
    }
    if (in->kind->codec == TALKPATH_CODEC_SLIN) {
        wanted *= 2;
    } else if (in->kind->codec == TALKPATH_CODEC_G722) {
        wanted /= 2;
    }
    if (in->kind->is_wav && in->rest_bytes < wanted) {
        wanted = (size_t)in->rest_bytes;
    }
    size_t got = fread(bytes, 1, wanted, in->file);
    in->rest_bytes -= in->kind->is_wav ? got : 0;
    return in->kind->codec == TALKPATH_CODEC_SLIN ? got - got % 2 : got;
}

static void open_output(struct output *out, const char *path, uint32_t rate_hz, uint32_t rate_of_input_hz)
{
    out->kind = kind_of(path);
    out->rate_hz = out->kind->rate_hz;
    if (out->rate_hz == 0) {
        out->rate_hz = rate_hz != 0 ? rate_hz : rate_of_input_hz;
    }
    if (out->kind->is_packets && 48000 % out->rate_hz != 0) {
        out->rate_hz = 48000; /* Opus knows 8, 12, 16, 24 and 48 kHz */
    }
    check(talkpath_encoder_new(out->kind->codec, out->rate_hz, &out->encoder), path);
    out->file = fopen(path, "wb");
    if (out->file == NULL || (out->kind->is_wav && !wav_begin(out->file, out->rate_hz, 1))) {
        fail(path, strerror(errno));
    }
}

/* Encodes what waits as one frame. */
static void write_frame(struct output *out, const char *path)
{
    uint8_t bytes[2 + 2 * sizeof out->frame];
    size_t len = 0;
    check(talkpath_encoder_encode(out->encoder, out->frame, out->waiting, bytes + 2, sizeof bytes - 2, &len), path);
    bytes[0] = (uint8_t)(len >> 8);
    bytes[1] = (uint8_t)len;
    size_t prefix = out->kind->is_packets ? 2 : 0;
    if (fwrite(bytes + 2 - prefix, 1, len + prefix, out->file) != len + prefix) {
        fail(path, strerror(errno));
    }
    out->waiting = 0;
}

static void write_samples(struct output *out, const int16_t *samples, size_t len, const char *path)
{
    size_t frame = out->rate_hz / 50;
    while (len > 0) {
        size_t n = frame - out->waiting < len ? frame - out->waiting : len;
        memcpy(out->frame + out->waiting, samples, n * sizeof *samples);
        out->waiting += n;
        samples += n;
        len -= n;
        if (out->waiting == frame) {
            write_frame(out, path);
        }
    }
}

static void close_output(struct output *out, const char *path)
{
    /* The last frame: packets are whole, and G.722 takes samples by two. */
    size_t whole = out->kind->is_packets ? out->rate_hz / 50 : out->waiting + out->waiting % 2;
    if (out->waiting > 0) {
        memset(out->frame + out->waiting, 0, (whole - out->waiting) * sizeof *out->frame);
        out->waiting = out->kind->is_packets || out->kind->codec == TALKPATH_CODEC_G722 ? whole : out->waiting;
        write_frame(out, path);
    }
    bool is_written = !out->kind->is_wav || wav_end(out->file);
    if (fclose(out->file) != 0 || !is_written) {
        fail(path, "cannot be completed");
    }
    talkpath_encoder_free(out->encoder);
}

int main(int argc, char **argv)
{
    uint32_t rate_hz = 0;
    if (argc == 5 && strcmp(argv[1], "-r") == 0) {
        rate_hz = (uint32_t)strtoul(argv[2], NULL, 10);
        argv += 2;
        argc -= 2;
    }
    if (argc != 3) {
        fprintf(stderr, "usage: transcode [-r RATE] IN OUT\n");
        return 2;
    }
    static struct input in;
    static struct output out;
    open_input(&in, argv[1], rate_hz);
    open_output(&out, argv[2], rate_hz, in.rate_hz);

    TalkpathResampler *resampler = NULL;
    if (in.rate_hz != out.rate_hz) {
        check(talkpath_resampler_new(in.rate_hz, out.rate_hz, TALKPATH_QUALITY_STUDIO, &resampler), argv[2]);
    }
    static uint8_t bytes[MOST_BYTES];
    static int16_t samples[MOST_SAMPLES], resampled[MOST_SAMPLES];
    for (bool is_end = false; !is_end;) {
        size_t len = 0, bytes_len = read_bytes(&in, bytes, argv[1]);
        is_end = bytes_len == 0;
        if (!is_end) {
            check(talkpath_decoder_decode(in.decoder, bytes, bytes_len, samples, MOST_SAMPLES, &len), argv[1]);
        } else if (resampler != NULL) {
            /* 20 ms of silence push out what the resampler holds back. */
            len = in.rate_hz / 50;
            memset(samples, 0, len * sizeof *samples);
        }
        if (resampler == NULL) {
            write_samples(&out, samples, len, argv[2]);
        } else {
            check(talkpath_resampler_process(resampler, samples, len, resampled, MOST_SAMPLES, &len), argv[2]);
            write_samples(&out, resampled, len, argv[2]);
        }
    }
    if (ferror(in.file)) {
        fail(argv[1], strerror(errno));
    }
    fclose(in.file);
    talkpath_decoder_free(in.decoder);
    talkpath_resampler_free(resampler);
    close_output(&out, argv[2]);
    return 0;
}
