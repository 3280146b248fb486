/* Every codec there and back; wrong numbers, sizes and pointers are refused with nothing written. */
#include <math.h>

#include "check.h"

enum { FRAME = 320 };

static double snr(const int16_t *got, const int16_t *wanted, size_t len, size_t delay)
{
    double signal = 1, noise = 1;
    for (size_t i = 0; i + delay < len; i++) {
        double error = (double)got[i + delay] - wanted[i];
        signal += (double)wanted[i] * wanted[i];
        noise += error * error;
    }
    return 10 * log10(signal / noise);
}

/* The best over all delays up to 25 ms at 16 kHz: codecs look ahead. */
static double best_snr(const int16_t *got, const int16_t *wanted, size_t len)
{
    double best = -99;
    for (size_t delay = 0; delay <= 400; delay++) {
        double reached = snr(got, wanted, len, delay);
        best = reached > best ? reached : best;
    }
    return best;
}

static void there_and_back(int32_t codec, uint32_t rate_hz, double least_snr)
{
    TalkpathEncoder *encoder = NULL;
    TalkpathDecoder *decoder = NULL;
    CHECK_OK(talkpath_encoder_new(codec, rate_hz, &encoder));
    CHECK_OK(talkpath_decoder_new(codec, rate_hz, &decoder));
    static int16_t said[50 * FRAME], heard[50 * FRAME];
    size_t frame = rate_hz / 50;
    for (size_t i = 0; i < 50 * frame; i++) {
        said[i] = (int16_t)(8000 * sin(0.03 * (double)i) + 3000 * sin(0.11 * (double)i));
    }
    for (size_t n = 0; n < 50; n++) {
        uint8_t bytes[1500];
        size_t len = 0, samples = 0;
        CHECK_OK(talkpath_encoder_encode(encoder, said + n * frame, frame, bytes, sizeof bytes, &len));
        CHECK(len > 0 && len <= 2 * frame);
        CHECK_OK(talkpath_decoder_decode(decoder, bytes, len, heard + n * frame, frame, &samples));
        CHECK(samples == frame);
    }
    double reached = best_snr(heard, said, 50 * frame);
    if (reached < least_snr) {
        fprintf(stderr, "codec %d: %.1f dB, wanted %.1f\n", (int)codec, reached, least_snr);
        exit(1);
    }
    CHECK_OK(talkpath_encoder_reset(encoder));
    CHECK_OK(talkpath_decoder_reset(decoder));

    size_t samples = 77;
    int16_t made_up[960];
    TalkpathStatus concealed = talkpath_decoder_conceal(decoder, frame, made_up, 960, &samples);
    CHECK(concealed == (codec == TALKPATH_CODEC_OPUS ? TALKPATH_STATUS_OK : TALKPATH_STATUS_EMPTY));
    CHECK(samples == (codec == TALKPATH_CODEC_OPUS ? frame : 77));
    talkpath_encoder_free(encoder);
    talkpath_decoder_free(decoder);
}

int main(void)
{
    there_and_back(TALKPATH_CODEC_SLIN, 16000, 90);
    there_and_back(TALKPATH_CODEC_SLIN_BE, 8000, 90);
    there_and_back(TALKPATH_CODEC_ULAW, 8000, 30);
    there_and_back(TALKPATH_CODEC_ALAW, 8000, 30);
    there_and_back(TALKPATH_CODEC_G722, 16000, 15);
    there_and_back(TALKPATH_CODEC_OPUS, 16000, 5);

    TalkpathEncoder *encoder = NULL;
    CHECK_STATUS(talkpath_encoder_new(99, 8000, &encoder), TALKPATH_STATUS_INVALID_ARGUMENT);
    check_error_says("codec 99");
    CHECK_STATUS(talkpath_encoder_new(TALKPATH_CODEC_ULAW, 7, &encoder), TALKPATH_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(talkpath_encoder_new(TALKPATH_CODEC_G722, 8000, &encoder), TALKPATH_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(talkpath_encoder_new(TALKPATH_CODEC_ULAW, 8000, NULL), TALKPATH_STATUS_NULL_POINTER);
    CHECK(encoder == NULL);
    CHECK_OK(talkpath_encoder_new(TALKPATH_CODEC_ULAW, 8000, &encoder));
    int16_t samples[160] = {0};
    uint8_t bytes[160];
    size_t written = 77;
    CHECK_STATUS(talkpath_encoder_encode(NULL, samples, 160, bytes, 160, &written), TALKPATH_STATUS_NULL_POINTER);
    CHECK_STATUS(talkpath_encoder_encode(encoder, NULL, 160, bytes, 160, &written), TALKPATH_STATUS_NULL_POINTER);
    CHECK_STATUS(talkpath_encoder_encode(encoder, samples, 160, bytes, 160, NULL), TALKPATH_STATUS_NULL_POINTER);
    CHECK_STATUS(talkpath_encoder_encode(encoder, samples, 160, bytes, 159, &written), TALKPATH_STATUS_BUFFER_TOO_SMALL);
    CHECK_STATUS(talkpath_encoder_encode(encoder, samples, SIZE_MAX, bytes, 160, &written),
                 TALKPATH_STATUS_INVALID_ARGUMENT);
    CHECK(written == 77);
    CHECK_OK(talkpath_encoder_encode(encoder, NULL, 0, NULL, 0, &written));
    CHECK(written == 0);
    talkpath_encoder_free(encoder);
    talkpath_encoder_free(NULL);
    talkpath_decoder_free(NULL);
    return 0;
}
