/* Opus: options are heeded and checked, packets say how long they are, a lost one is found in the next. */
#include <math.h>

#include "check.h"

enum { FRAME = 320, FRAMES = 50, ROOM = 1500 };

static int16_t said[FRAMES * FRAME];

/* Encodes a second, and says how many bytes that took; `same` gets whether all packets had one size. */
static size_t encoded(const TalkpathOpusOptions *options, bool *same)
{
    TalkpathEncoder *encoder = NULL;
    CHECK_OK(talkpath_opus_encoder_new(16000, options, &encoder));
    size_t all = 0, first = 0;
    *same = true;
    for (size_t n = 0; n < FRAMES; n++) {
        uint8_t packet[ROOM];
        size_t len = 0, samples = 0;
        CHECK_OK(talkpath_encoder_encode(encoder, said + n * FRAME, FRAME, packet, sizeof packet, &len));
        CHECK_OK(talkpath_opus_packet_samples(packet, len, 48000, &samples));
        CHECK(samples == 960);
        first = n == 0 ? len : first;
        *same = *same && len == first;
        all += len;
    }
    talkpath_encoder_free(encoder);
    return all;
}

static void options_are_heeded(void)
{
    TalkpathOpusOptions options;
    bool same = false;
    CHECK_OK(talkpath_opus_options_default(&options, sizeof options));
    CHECK(options.size == sizeof options && options.bitrate == 32000 && options.fec && !options.dtx && !options.cbr);
    CHECK(options.complexity == 5 && options.packet_loss == 10 && options.max_playback_rate_hz == 48000);
    size_t usual = encoded(&options, &same);
    CHECK(!same && usual == encoded(NULL, &same));

    options.bitrate = 12000;
    CHECK(encoded(&options, &same) < usual / 2);
    options.cbr = true;
    CHECK(encoded(&options, &same) == FRAMES * 30 && same);
}

static void options_are_checked(void)
{
    TalkpathOpusOptions options;
    TalkpathEncoder *encoder = NULL;
    CHECK_STATUS(talkpath_opus_options_default(NULL, sizeof options), TALKPATH_STATUS_NULL_POINTER);
    CHECK_STATUS(talkpath_opus_options_default(&options, 8), TALKPATH_STATUS_INVALID_ARGUMENT);
    check_error_says("sizeof(TalkpathOpusOptions)");
    CHECK_OK(talkpath_opus_options_default(&options, sizeof options));
    CHECK_STATUS(talkpath_opus_encoder_new(44100, &options, &encoder), TALKPATH_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(talkpath_opus_encoder_new(16000, &options, NULL), TALKPATH_STATUS_NULL_POINTER);
    options.complexity = 300;
    CHECK_STATUS(talkpath_opus_encoder_new(16000, &options, &encoder), TALKPATH_STATUS_INVALID_ARGUMENT);
    check_error_says("complexity of 300, wanted 0 to 10");
    options.complexity = 11;
    CHECK_STATUS(talkpath_opus_encoder_new(16000, &options, &encoder), TALKPATH_STATUS_INVALID_ARGUMENT);
    options.complexity = 5;
    options.bitrate = 5999;
    CHECK_STATUS(talkpath_opus_encoder_new(16000, &options, &encoder), TALKPATH_STATUS_INVALID_ARGUMENT);
    options.bitrate = 32000;
    options.max_playback_rate_hz = 1;
    CHECK_STATUS(talkpath_opus_encoder_new(16000, &options, &encoder), TALKPATH_STATUS_INVALID_ARGUMENT);
    options.size = 3;
    CHECK_STATUS(talkpath_opus_encoder_new(16000, &options, &encoder), TALKPATH_STATUS_INVALID_ARGUMENT);
    CHECK(encoder == NULL);

    size_t samples = 77;
    CHECK_STATUS(talkpath_opus_packet_samples(NULL, 0, 48000, &samples), TALKPATH_STATUS_INVALID_ARGUMENT);
    /* Three frames of 60 ms are more than a packet may hold. */
    CHECK_STATUS(talkpath_opus_packet_samples((const uint8_t *)"\x1b\x03", 2, 48000, &samples),
                 TALKPATH_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(talkpath_opus_packet_samples((const uint8_t *)"\x08", 1, 44100, &samples),
                 TALKPATH_STATUS_INVALID_ARGUMENT);
    CHECK(samples == 77);
    /* 60 ms of narrowband speech. */
    CHECK_OK(talkpath_opus_packet_samples((const uint8_t *)"\x18", 1, 48000, &samples));
    CHECK(samples == 2880);
}

/* Without its 21st packet, what the 22nd holds of it is nearer to it than what is made up. */
static void a_lost_packet_is_found_in_the_next(void)
{
    TalkpathEncoder *encoder = NULL;
    TalkpathDecoder *whole = NULL, *recovering = NULL, *concealing = NULL;
    TalkpathOpusOptions options;
    CHECK_OK(talkpath_opus_options_default(&options, sizeof options));
    options.packet_loss = 30;
    CHECK_OK(talkpath_opus_encoder_new(16000, &options, &encoder));
    CHECK_OK(talkpath_decoder_new(TALKPATH_CODEC_OPUS, 16000, &whole));
    CHECK_OK(talkpath_decoder_new(TALKPATH_CODEC_OPUS, 16000, &recovering));
    CHECK_OK(talkpath_decoder_new(TALKPATH_CODEC_OPUS, 16000, &concealing));
    int16_t wanted[FRAME] = {0}, heard[FRAME], made_up[FRAME], found[FRAME];
    for (size_t n = 0; n < 22; n++) {
        uint8_t packet[ROOM];
        size_t len = 0, samples = 0;
        CHECK_OK(talkpath_encoder_encode(encoder, said + n * FRAME, FRAME, packet, sizeof packet, &len));
        if (n == 21) {
            CHECK_OK(talkpath_decoder_recover(recovering, packet, len, FRAME, found, FRAME, &samples));
            CHECK(samples == FRAME);
            CHECK_OK(talkpath_decoder_conceal(concealing, FRAME, made_up, FRAME, &samples));
            break;
        }
        CHECK_OK(talkpath_decoder_decode(whole, packet, len, n == 20 ? wanted : heard, FRAME, &samples));
        if (n < 20) {
            CHECK_OK(talkpath_decoder_decode(recovering, packet, len, heard, FRAME, &samples));
            CHECK_OK(talkpath_decoder_decode(concealing, packet, len, heard, FRAME, &samples));
        }
    }
    double error_found = 0, error_made_up = 0;
    for (size_t i = 0; i < FRAME; i++) {
        error_found += pow((double)found[i] - wanted[i], 2);
        error_made_up += pow((double)made_up[i] - wanted[i], 2);
    }
    CHECK(error_found < error_made_up / 2);
    talkpath_encoder_free(encoder);
    talkpath_decoder_free(whole);
    talkpath_decoder_free(recovering);
    talkpath_decoder_free(concealing);
}

int main(void)
{
    /* A voice that glides, so that what was is no good guess of what comes. */
    for (size_t i = 0; i < FRAMES * FRAME; i++) {
        double at = (double)i / 16000, phase = 2 * 3.14159265 * (120 * at + 90 * at * at);
        for (int harmonic = 1; harmonic < 12; harmonic++) {
            said[i] = (int16_t)(said[i] + 2400 / harmonic * sin(harmonic * phase) * (1 + sin(19 * at)) / 2);
        }
    }
    options_are_heeded();
    options_are_checked();
    a_lost_packet_is_found_in_the_next();
    return 0;
}
