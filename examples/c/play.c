/*
 * Plays a captured call as its listener heard it: play [-c CODEC] [-s SSRC] [-f MS] CAPTURE.pcap OUT.wav
 *
 * The packets of one RTP stream go through a jitter buffer at the times they were captured at; what comes out every 20 ms
 * is written, and how it went is printed. The capture is tcpdump's (.pcap, not .pcapng); - is standard input, as in
 *
 *   tcpdump -U -w - udp portrange 10000-20000 | play - heard.wav
 *
 *   -c CODEC   what payload types above 95 hold: opus (the default), g722, ulaw, alaw, or l16/RATE as for Asterisk's slin16
 *   -s SSRC    which stream; else the first one in the capture
 *   -f MS      play every packet MS after the fastest ones, instead of as early as the network allows
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "capture.h"

enum { TICK_US = 20000, PATIENCE_US = 5000000, COMFORT_NOISE = 13 };

struct player {
    TalkpathJitterBuffer *buffer;
    uint8_t payload_type;
    uint32_t rate_hz;
    FILE *file;
    uint64_t tick_us;   /* when the next frame is due */
    uint64_t frames[4]; /* how many there were, by what they were made of */
};

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "play: %s: %s\n", what, why);
    exit(1);
}

static void check(TalkpathStatus status)
{
    if (status != TALKPATH_STATUS_OK) {
        char text[256];
        size_t needed = 0;
        talkpath_last_error(text, sizeof text, &needed);
        fail("talkpath", needed > 0 ? text : talkpath_status_str((int32_t)status));
    }
}

/* The codec of a payload type, and its rate; -1 if it is none of audio. */
static int32_t codec_of(uint8_t payload_type, const char *dynamic, uint32_t *rate_hz)
{
    static const struct {
        const char *name;
        int payload_type;
        int32_t codec;
        uint32_t rate_hz;
    } CODECS[] = {
        {"ulaw", 0, TALKPATH_CODEC_ULAW, 8000},
        {"alaw", 8, TALKPATH_CODEC_ALAW, 8000},
        {"g722", 9, TALKPATH_CODEC_G722, 16000},
        {"opus", -1, TALKPATH_CODEC_OPUS, 48000},
    };
    bool is_dynamic = payload_type > 95;
    for (size_t i = 0; i < sizeof CODECS / sizeof *CODECS; i++) {
        if (is_dynamic ? strcmp(dynamic, CODECS[i].name) == 0 : payload_type == CODECS[i].payload_type) {
            *rate_hz = CODECS[i].rate_hz;
            return CODECS[i].codec;
        }
    }
    if (is_dynamic && strncmp(dynamic, "l16/", 4) == 0) {
        *rate_hz = (uint32_t)strtoul(dynamic + 4, NULL, 10);
        return TALKPATH_CODEC_SLIN_BE;
    }
    return -1;
}

static void print_stats(const struct player *player)
{
    TalkpathJitterStats stats;
    const uint64_t *frames = player->frames;
    double per_ms = player->rate_hz / 1e3;
    check(talkpath_jitter_buffer_stats(player->buffer, &stats));
    printf("packets    %llu, %llu lost, %llu late, %llu double, %llu malformed\n", (unsigned long long)stats.packets,
           (unsigned long long)stats.packets_lost, (unsigned long long)stats.packets_late,
           (unsigned long long)stats.packets_duplicate, (unsigned long long)stats.packets_malformed);
    printf("concealed  %.0f ms, of which %.0f ms were recovered from the next packet\n",
           (double)stats.samples_concealed / per_ms, (double)stats.samples_recovered / per_ms);
    printf("stretched  %.0f ms inserted, %.0f ms removed, %.0f ms discarded\n",
           (double)stats.samples_inserted / per_ms, (double)stats.samples_removed / per_ms,
           (double)stats.samples_discarded / per_ms);
    printf("frames     %llu audio, %llu concealed, %llu inserted, %llu rest\n", (unsigned long long)frames[0],
           (unsigned long long)frames[1], (unsigned long long)frames[2], (unsigned long long)frames[3]);
    printf("network    %.1f ms jitter, %.1f ms delay at the end, aimed at %.1f\n", (double)stats.jitter_us / 1e3,
           (double)stats.delay_us / 1e3, (double)stats.target_us / 1e3);
    printf("quality    R %.1f, MOS %.2f\n", stats.r_factor, stats.mos);
}

/* Plays until `until_us`, or with `is_rest` until nothing is held any more. */
static void play(struct player *player, uint64_t until_us, bool is_rest, const char *path)
{
    static int16_t frame[192000 / 50];
    for (; player->tick_us < until_us; player->tick_us += TICK_US) {
        TalkpathJitterStats stats;
        int32_t what = 0;
        check(talkpath_jitter_buffer_stats(player->buffer, &stats));
        if (is_rest && stats.samples_held == 0) {
            return;
        }
        check(talkpath_jitter_buffer_poll(player->buffer, player->tick_us, frame, sizeof frame / sizeof *frame, &what));
        player->frames[what & 3]++;
        if (!wav_write(player->file, frame, player->rate_hz / 50)) {
            fail(path, strerror(errno));
        }
    }
}

int main(int argc, char **argv)
{
    const char *dynamic = "opus";
    TalkpathPlayout playout = {TALKPATH_PLAYOUT_ADAPTIVE, 0, 400};
    struct player player = {0};
    uint32_t ssrc = 0;
    bool is_chosen = false;
    for (int option; (option = getopt(argc, argv, "c:s:f:")) != -1;) {
        if (option == 'c') {
            dynamic = optarg;
        } else if (option == 's') {
            ssrc = (uint32_t)strtoul(optarg, NULL, 0);
            is_chosen = true;
        } else if (option == 'f') {
            playout = (TalkpathPlayout){TALKPATH_PLAYOUT_FIXED, 0, (uint32_t)strtoul(optarg, NULL, 10)};
        } else {
            return 2;
        }
    }
    if (argc - optind != 2) {
        fprintf(stderr, "usage: play [-c CODEC] [-s SSRC] [-f MS] CAPTURE.pcap OUT.wav\n");
        return 2;
    }
    const char *from = argv[optind], *to = argv[optind + 1];
    FILE *captured = strcmp(from, "-") == 0 ? stdin : fopen(from, "rb");
    static struct capture capture;
    const char *wrong = captured == NULL ? strerror(errno) : capture_open(&capture, captured);
    if (wrong != NULL) {
        fail(from, wrong);
    }

    uint64_t last_us = 0;
    for (struct rtp rtp; capture_next(&capture, &rtp);) {
        if (is_chosen && rtp.packet.ssrc != ssrc) {
            continue;
        }
        if (player.buffer == NULL) {
            int32_t codec = codec_of(rtp.payload_type, dynamic, &player.rate_hz);
            if (codec == -1) {
                continue;
            }
            check(talkpath_jitter_buffer_new(codec, player.rate_hz, &playout, &player.buffer));
            player.payload_type = rtp.payload_type;
            player.file = fopen(to, "wb");
            if (player.file == NULL || !wav_begin(player.file, player.rate_hz, 1)) {
                fail(to, strerror(errno));
            }
            ssrc = rtp.packet.ssrc;
            is_chosen = true;
            player.tick_us = rtp.time_us;
        }
        int32_t arrival;
        last_us = rtp.time_us;
        play(&player, last_us, false, to);
        if (rtp.payload_type == COMFORT_NOISE) {
            uint8_t level = rtp.packet.payload_len > 0 ? rtp.packet.payload[0] & 0x7f : 0x7f;
            check(talkpath_jitter_buffer_push_comfort_noise(player.buffer, &rtp.packet, level, last_us));
        } else if (rtp.payload_type == player.payload_type) {
            check(talkpath_jitter_buffer_push(player.buffer, &rtp.packet, last_us, &arrival));
        }
    }
    if (player.buffer == NULL) {
        fail(from, "no RTP of a codec that is known");
    }
    play(&player, last_us + PATIENCE_US, true, to);
    print_stats(&player);
    talkpath_jitter_buffer_free(player.buffer);
    fclose(captured);
    bool is_written = wav_end(player.file);
    if (fclose(player.file) != 0 || !is_written) {
        fail(to, "cannot be completed");
    }
    return 0;
}
