/* Objects of their own on eight threads at once: nobody gets in another's way. */
#include <threads.h>

#include "check.h"

static int work(void *argument)
{
    int number = *(int *)argument;
    for (int round = 0; round < 20; round++) {
        TalkpathJitterBuffer *buffer = NULL;
        TalkpathVad *vad = NULL;
        TalkpathEncoder *encoder = NULL;
        CHECK_OK(talkpath_jitter_buffer_new(TALKPATH_CODEC_G722, 16000, NULL, &buffer));
        CHECK_OK(talkpath_vad_new(TALKPATH_VAD_PHONE, 16000, &vad));
        CHECK_OK(talkpath_encoder_new(TALKPATH_CODEC_G722, 16000, &encoder));
        int16_t samples[320], frame[320];
        for (int n = 0; n < 20; n++) {
            for (int i = 0; i < 320; i++) {
                samples[i] = (int16_t)((i * (number + 3)) % 4000 - 2000);
            }
            uint8_t payload[160];
            size_t len = 0;
            int32_t made = 0;
            TalkpathVadVerdict verdict;
            CHECK_OK(talkpath_encoder_encode(encoder, samples, 320, payload, sizeof payload, &len));
            TalkpathPacket packet = {7, 160u * (unsigned)n, (uint16_t)n, n == 0, payload, len};
            CHECK_OK(talkpath_jitter_buffer_push(buffer, &packet, 20000ull * (unsigned)n, &made));
            CHECK_OK(talkpath_jitter_buffer_poll(buffer, 20000ull * (unsigned)n, frame, 320, &made));
            CHECK_OK(talkpath_vad_process(vad, frame, 320, &verdict));
        }
        CHECK_STATUS(talkpath_encoder_new(1000 + number, 16000, &encoder), TALKPATH_STATUS_INVALID_ARGUMENT);
        char wanted[32];
        snprintf(wanted, sizeof wanted, "codec %d", 1000 + number);
        check_error_says(wanted);
        talkpath_encoder_free(encoder);
        talkpath_vad_free(vad);
        talkpath_jitter_buffer_free(buffer);
    }
    return 0;
}

int main(void)
{
    thrd_t threads[8];
    int numbers[8];
    for (int i = 0; i < 8; i++) {
        numbers[i] = i;
        CHECK(thrd_create(&threads[i], work, &numbers[i]) == thrd_success);
    }
    for (int i = 0; i < 8; i++) {
        int result = 1;
        CHECK(thrd_join(threads[i], &result) == thrd_success && result == 0);
    }
    return 0;
}
