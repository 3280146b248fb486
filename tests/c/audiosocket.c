/* AudioSocket messages without a socket: what is encoded is decoded, in any pieces; what is none is refused. */
#include "check.h"

static const char ID[] = "0f8fad5b-d9cb-469f-a165-70867728950e";

/* Writes a caller's stream: its id, 20 ms of 16 kHz audio, a key, the end; returns its length. */
static size_t write_stream(uint8_t *stream, size_t room)
{
    int16_t samples[320];
    for (int i = 0; i < 320; i++) {
        samples[i] = (int16_t)(100 * i - 16000);
    }
    size_t len = 0, written = 0;
    CHECK_OK(talkpath_audiosocket_encode_id(ID, stream, room, &written));
    CHECK(written == 19 && memcmp(stream, "\x01\x00\x10\x0f\x8f\xad\x5b", 7) == 0);
    len += written;
    CHECK_OK(talkpath_audiosocket_encode_audio(16000, samples, 320, stream + len, room - len, &written));
    CHECK(written == 643 && stream[len] == 0x12 && stream[len + 1] == 2 && stream[len + 2] == 0x80);
    len += written;
    CHECK_OK(talkpath_audiosocket_encode_dtmf('#', stream + len, room - len, &written));
    len += written;
    CHECK_OK(talkpath_audiosocket_encode_hangup(stream + len, room - len, &written));
    CHECK(written == 3);
    return len + written;
}

/* Decodes the stream in pieces of `step` bytes, each in memory of exactly its size, and checks each message. */
static void read_in_pieces(const uint8_t *stream, size_t len, size_t step)
{
    TalkpathAudioSocketDecoder *decoder = NULL;
    CHECK_OK(talkpath_audiosocket_decoder_new(false, &decoder));
    int kinds[8], count = 0;
    for (size_t at = 0; at < len; at += step) {
        size_t n = len - at < step ? len - at : step;
        uint8_t *piece = malloc(n);
        CHECK(piece != NULL);
        memcpy(piece, stream + at, n);
        size_t done = 0, taken = 0;
        TalkpathAudioSocketMessage message;
        TalkpathStatus status;
        while ((status = talkpath_audiosocket_decoder_poll(decoder, piece + done, n - done, &taken, &message)) ==
               TALKPATH_STATUS_OK) {
            done += taken;
            CHECK(count < 8);
            kinds[count++] = message.kind;
            if (message.kind == TALKPATH_AUDIOSOCKET_ID) {
                CHECK(strcmp(message.id, ID) == 0);
            } else if (message.kind == TALKPATH_AUDIOSOCKET_DTMF) {
                CHECK(message.digit == '#');
            } else if (message.kind == TALKPATH_AUDIOSOCKET_AUDIO) {
                int16_t samples[320];
                size_t written = 0;
                CHECK(message.rate_hz == 16000 && message.payload_len == 640);
                CHECK_STATUS(talkpath_audiosocket_samples(&message, samples, 319, &written),
                             TALKPATH_STATUS_BUFFER_TOO_SMALL);
                CHECK_OK(talkpath_audiosocket_samples(&message, samples, 320, &written));
                CHECK(written == 320 && samples[0] == -16000 && samples[319] == 15900);
            }
        }
        CHECK(status == TALKPATH_STATUS_EMPTY);
        free(piece);
    }
    CHECK(count == 4 && kinds[0] == TALKPATH_AUDIOSOCKET_ID && kinds[1] == TALKPATH_AUDIOSOCKET_AUDIO);
    CHECK(kinds[2] == TALKPATH_AUDIOSOCKET_DTMF && kinds[3] == TALKPATH_AUDIOSOCKET_HANGUP);
    uint64_t skipped = 1;
    bool is_between_messages = false;
    CHECK_OK(talkpath_audiosocket_decoder_state(decoder, &skipped, &is_between_messages));
    CHECK(skipped == 0 && is_between_messages);
    talkpath_audiosocket_decoder_free(decoder);
}

static void an_answer_has_no_id(void)
{
    TalkpathAudioSocketDecoder *decoder = NULL;
    TalkpathAudioSocketMessage message;
    size_t taken = 0;
    uint64_t skipped = 0;
    bool is_between_messages = true;
    CHECK_OK(talkpath_audiosocket_decoder_new(true, &decoder));
    /* A message of no known kind is skipped, and an error with its code comes through. */
    CHECK_OK(talkpath_audiosocket_decoder_poll(decoder, (const uint8_t *)"\x42\x00\x01?\xff\x00\x01\x04\x10", 9, &taken,
                                               &message));
    CHECK(message.kind == TALKPATH_AUDIOSOCKET_ERROR && message.error == 4 && taken == 8);
    size_t written = 0;
    int16_t sample;
    CHECK_STATUS(talkpath_audiosocket_samples(&message, &sample, 1, &written), TALKPATH_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(talkpath_audiosocket_decoder_poll(decoder, (const uint8_t *)"\x10", 1, &taken, &message),
                 TALKPATH_STATUS_EMPTY);
    CHECK_OK(talkpath_audiosocket_decoder_state(decoder, &skipped, &is_between_messages));
    CHECK(skipped == 1 && !is_between_messages);
    talkpath_audiosocket_decoder_free(decoder);
}

static void what_is_no_audiosocket_is_refused_for_good(void)
{
    TalkpathAudioSocketDecoder *decoder = NULL;
    TalkpathAudioSocketMessage message;
    size_t taken = 7;
    CHECK_OK(talkpath_audiosocket_decoder_new(false, &decoder));
    for (int i = 0; i < 2; i++) {
        CHECK_STATUS(talkpath_audiosocket_decoder_poll(decoder, (const uint8_t *)"GET / HTTP/1.1\r\n", 16, &taken, &message),
                     TALKPATH_STATUS_PROTOCOL);
        check_error_says("0x47");
        CHECK(taken == 7);
    }
    talkpath_audiosocket_decoder_free(decoder);
}

/* Whatever comes, the decoder stays within what it was given; the same noise every time. */
static void noise_does_no_harm(void)
{
    uint32_t seed = 1;
    for (int round = 0; round < 300; round++) {
        TalkpathAudioSocketDecoder *decoder = NULL;
        CHECK_OK(talkpath_audiosocket_decoder_new(round % 2 == 0, &decoder));
        for (int piece = 0; piece < 20; piece++) {
            size_t n = 1 + (seed >> 16) % 300, done = 0, taken = 0;
            uint8_t *bytes = malloc(n);
            CHECK(bytes != NULL);
            for (size_t i = 0; i < n; i++) {
                seed = seed * 1664525u + 1013904223u;
                /* Mostly small numbers: they are kinds and lengths. */
                bytes[i] = (uint8_t)(seed >> 24) % 5 == 0 ? (uint8_t)(seed >> 8) : (uint8_t)(0x10 * (seed >> 28 & 1));
            }
            TalkpathAudioSocketMessage message;
            while (talkpath_audiosocket_decoder_poll(decoder, bytes + done, n - done, &taken, &message) ==
                   TALKPATH_STATUS_OK) {
                CHECK(taken <= n - done);
                done += taken;
                if (message.kind == TALKPATH_AUDIOSOCKET_AUDIO) {
                    int16_t samples[2048];
                    size_t written = 0;
                    CHECK_OK(talkpath_audiosocket_samples(&message, samples, 2048, &written));
                    CHECK(written == message.payload_len / 2);
                }
            }
            free(bytes);
        }
        talkpath_audiosocket_decoder_free(decoder);
    }
}

static void what_cannot_be_sent_is_refused(void)
{
    uint8_t out[64];
    int16_t samples[16] = {0};
    size_t written = 5;
    CHECK_STATUS(talkpath_audiosocket_encode_id("1700000000.42", out, sizeof out, &written),
                 TALKPATH_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(talkpath_audiosocket_encode_id(ID, out, 18, &written), TALKPATH_STATUS_BUFFER_TOO_SMALL);
    CHECK_STATUS(talkpath_audiosocket_encode_id(NULL, out, sizeof out, &written), TALKPATH_STATUS_NULL_POINTER);
    CHECK_STATUS(talkpath_audiosocket_encode_audio(22050, samples, 16, out, sizeof out, &written),
                 TALKPATH_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(talkpath_audiosocket_encode_audio(8000, samples, 0, out, sizeof out, &written),
                 TALKPATH_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(talkpath_audiosocket_encode_audio(8000, samples, 16, out, 34, &written),
                 TALKPATH_STATUS_BUFFER_TOO_SMALL);
    CHECK_STATUS(talkpath_audiosocket_encode_dtmf('x', out, sizeof out, &written), TALKPATH_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(talkpath_audiosocket_encode_hangup(out, 2, &written), TALKPATH_STATUS_BUFFER_TOO_SMALL);
    CHECK_STATUS(talkpath_audiosocket_encode_hangup(NULL, 3, &written), TALKPATH_STATUS_NULL_POINTER);
    CHECK(written == 5);
    CHECK_STATUS(talkpath_audiosocket_decoder_new(false, NULL), TALKPATH_STATUS_NULL_POINTER);
    talkpath_audiosocket_decoder_free(NULL);
}

int main(void)
{
    uint8_t stream[1024];
    size_t len = write_stream(stream, sizeof stream);
    for (size_t step = 1; step <= len; step += step < 30 ? 1 : 97) {
        read_in_pieces(stream, len, step);
    }
    an_answer_has_no_id();
    what_is_no_audiosocket_is_refused_for_good();
    noise_does_no_harm();
    what_cannot_be_sent_is_refused();
    return 0;
}
