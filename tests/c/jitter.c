/* A jitter buffer with a lost, a late and a doubled packet: a frame each tick, and counters that add up. */
#include "check.h"

int main(void)
{
    TalkpathJitterBuffer *buffer = NULL;
    TalkpathPlayout playout = {TALKPATH_PLAYOUT_ADAPTIVE, 0, 5};
    CHECK_STATUS(talkpath_jitter_buffer_new(TALKPATH_CODEC_ULAW, 8000, &playout, &buffer),
                 TALKPATH_STATUS_INVALID_ARGUMENT);
    playout.mode = 7;
    CHECK_STATUS(talkpath_jitter_buffer_new(TALKPATH_CODEC_ULAW, 8000, &playout, &buffer),
                 TALKPATH_STATUS_INVALID_ARGUMENT);
    check_error_says("playout 7");
    CHECK_OK(talkpath_jitter_buffer_new(TALKPATH_CODEC_ULAW, 8000, NULL, &buffer));

    uint8_t payload[160];
    memset(payload, 0x30, sizeof payload);
    int16_t frame[160];
    int32_t arrival = -1, played = -1;
    unsigned concealed = 0;
    for (unsigned n = 0; n < 100; n++) {
        uint64_t now_us = 20000ull * n;
        TalkpathPacket packet = {42, 160 * n, (uint16_t)(65500 + n), n == 0, payload, sizeof payload};
        if (n != 50) {
            CHECK_OK(talkpath_jitter_buffer_push(buffer, &packet, now_us, &arrival));
            CHECK(arrival == TALKPATH_ARRIVAL_HELD);
        }
        if (n == 70) {
            CHECK_OK(talkpath_jitter_buffer_push(buffer, &packet, now_us, &arrival));
            CHECK(arrival == TALKPATH_ARRIVAL_DUPLICATE);
        }
        CHECK_STATUS(talkpath_jitter_buffer_poll(buffer, now_us, frame, 159, &played), TALKPATH_STATUS_BUFFER_TOO_SMALL);
        CHECK_OK(talkpath_jitter_buffer_poll(buffer, now_us, frame, 160, &played));
        concealed += played == TALKPATH_PLAYED_CONCEALED;
    }
    CHECK(concealed == 1);
    TalkpathJitterStats stats;
    CHECK_OK(talkpath_jitter_buffer_stats(buffer, &stats));
    CHECK(stats.packets == 100 && stats.packets_lost == 1 && stats.packets_duplicate == 1);
    CHECK(stats.samples_concealed == 160 && stats.mos > 3.5 && stats.mos <= 4.5);
    CHECK_STATUS(talkpath_jitter_buffer_push(buffer, NULL, 0, &arrival), TALKPATH_STATUS_NULL_POINTER);
    talkpath_jitter_buffer_free(buffer);
    talkpath_jitter_buffer_free(NULL);
    return 0;
}
