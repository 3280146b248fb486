/* A call without a socket or a clock: heard, answered, interrupted with a receipt, marked and ended. */
#include "check.h"

enum { FRAME = 160 };

static uint64_t now_us;

/* Does what the session wants until it wants nothing until later; returns how many frames it sent. */
static unsigned drive(TalkpathSession *session, TalkpathAgent **agent, int32_t *ended)
{
    unsigned sent = 0;
    for (;;) {
        TalkpathOutput output;
        CHECK_OK(talkpath_session_poll(session, now_us, &output));
        switch (output.kind) {
        case TALKPATH_OUTPUT_STARTED:
            CHECK_OK(talkpath_session_take_agent(session, agent));
            CHECK_STATUS(talkpath_session_take_agent(session, agent), TALKPATH_STATUS_EMPTY);
            break;
        case TALKPATH_OUTPUT_TRANSMIT:
            CHECK(output.payload_len == FRAME && output.codec == TALKPATH_CODEC_ALAW && output.rate_hz == 8000);
            sent++;
            break;
        case TALKPATH_OUTPUT_ENDED:
            *ended = output.reason;
            return sent;
        case TALKPATH_OUTPUT_TIMEOUT:
            CHECK(output.timeout_us > now_us);
            return sent;
        default:
            break;
        }
    }
}

int main(void)
{
    TalkpathSessionConfig config;
    CHECK_STATUS(talkpath_session_config_default(&config, 3), TALKPATH_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(talkpath_session_config_default(NULL, sizeof config), TALKPATH_STATUS_NULL_POINTER);
    CHECK_OK(talkpath_session_config_default(&config, sizeof config));
    CHECK(config.size == sizeof config && config.ptime_ms == 20 && config.vad == TALKPATH_VAD_PHONE && config.barge_in);

    TalkpathSession *session = NULL;
    config.ptime_ms = 17;
    CHECK_STATUS(talkpath_session_new(&config, false, false, 0, &session), TALKPATH_STATUS_INVALID_ARGUMENT);
    check_error_says("17ms");
    config.ptime_ms = 20;
    config.size = 1;
    CHECK_STATUS(talkpath_session_new(&config, false, false, 0, &session), TALKPATH_STATUS_INVALID_ARGUMENT);
    config.size = sizeof config;
    CHECK_OK(talkpath_session_new(&config, false, false, 0, &session));

    TalkpathAgent *agent = NULL;
    int32_t ended = -1;
    uint8_t said[FRAME];
    memset(said, 0xd5, sizeof said);
    unsigned sent = 0, heard = 0;
    static int16_t speech[8000];
    for (int i = 0; i < 8000; i++) {
        speech[i] = (int16_t)(i % 40 * 200 - 4000);
    }
    uint16_t generation = 0;
    for (unsigned n = 0; n < 100; n++, now_us += 20000) {
        CHECK_OK(talkpath_session_handle_audio(session, TALKPATH_CODEC_ALAW, 8000, said, sizeof said, now_us));
        if (n == 30) {
            CHECK_OK(talkpath_session_handle_dtmf(session, '5', now_us));
            CHECK_STATUS(talkpath_session_handle_dtmf(session, 'x', now_us), TALKPATH_STATUS_INVALID_ARGUMENT);
        }
        sent += drive(session, &agent, &ended);
        CHECK(agent != NULL);
        if (n == 0) {
            size_t taken = 0;
            CHECK_OK(talkpath_agent_generation(agent, &generation));
            CHECK_OK(talkpath_agent_write(agent, speech, 8000, 8000, "greeting", generation, &taken));
            CHECK(taken == 8000);
            CHECK_OK(talkpath_agent_mark(agent, "said"));
            CHECK_OK(talkpath_agent_complete(agent));
        }
        if (n == 40) {
            TalkpathReceipt *receipt = NULL;
            TalkpathReceiptSummary summary;
            TalkpathSegment segment;
            CHECK_OK(talkpath_agent_interrupt(agent, &receipt));
            CHECK_OK(talkpath_receipt_summary(receipt, &summary));
            CHECK(summary.segments == 1 && summary.certainty == TALKPATH_CERTAINTY_WRITTEN);
            CHECK_OK(talkpath_receipt_segment(receipt, 0, &segment));
            CHECK(strcmp(segment.tag, "greeting") == 0 && segment.received_us == 1000000);
            CHECK(segment.played_us == 40 * 20000 && segment.played_us + segment.discarded_us == segment.received_us);
            CHECK_STATUS(talkpath_receipt_segment(receipt, 1, &segment), TALKPATH_STATUS_INVALID_ARGUMENT);
            talkpath_receipt_free(receipt);
            size_t taken = 77;
            CHECK_STATUS(talkpath_agent_write(agent, speech, 10, 8000, "late", generation, &taken),
                         TALKPATH_STATUS_STALE);
            CHECK(taken == 77);
        }
        int16_t frame[480];
        TalkpathHeard what;
        TalkpathStatus status;
        CHECK_STATUS(talkpath_agent_read(agent, frame, 10, &what), TALKPATH_STATUS_BUFFER_TOO_SMALL);
        while ((status = talkpath_agent_read(agent, frame, 480, &what)) == TALKPATH_STATUS_OK) {
            CHECK(what.len == FRAME && what.rate_hz == 8000 && !what.speech && what.lost_us == 0);
            heard++;
        }
        CHECK(status == TALKPATH_STATUS_EMPTY);
    }
    CHECK(sent == 100 && heard == 100);

    CHECK_OK(talkpath_agent_hangup(agent, true));
    now_us += 20000;
    drive(session, &agent, &ended);
    CHECK(ended == TALKPATH_END_AGENT_HANGUP);

    unsigned seen = 0;
    TalkpathEvent event;
    while (talkpath_agent_poll_event(agent, &event) == TALKPATH_STATUS_OK) {
        seen |= 1u << event.kind;
        if (event.kind == TALKPATH_EVENT_STARTED) {
            CHECK(event.codec == TALKPATH_CODEC_ALAW && event.rate_hz == 8000);
        } else if (event.kind == TALKPATH_EVENT_DTMF) {
            CHECK(event.digit == '5');
        } else if (event.kind == TALKPATH_EVENT_PLAYBACK_STARTED) {
            CHECK(strcmp(event.name, "greeting") == 0);
        } else if (event.kind == TALKPATH_EVENT_INTERRUPTED) {
            CHECK(event.cause == TALKPATH_CAUSE_AGENT);
            TalkpathReceipt *receipt = NULL;
            CHECK_OK(talkpath_agent_take_receipt(agent, &receipt));
            talkpath_receipt_free(receipt);
            CHECK_STATUS(talkpath_agent_take_receipt(agent, &receipt), TALKPATH_STATUS_EMPTY);
        }
    }
    CHECK(event.kind == TALKPATH_EVENT_ENDED && event.reason == TALKPATH_END_AGENT_HANGUP);
    CHECK(seen & 1u << TALKPATH_EVENT_STARTED && seen & 1u << TALKPATH_EVENT_DTMF);
    CHECK(seen & 1u << TALKPATH_EVENT_PLAYBACK_STARTED && seen & 1u << TALKPATH_EVENT_INTERRUPTED);

    TalkpathStats stats;
    CHECK_OK(talkpath_agent_stats(agent, &stats));
    CHECK(stats.frames_sent >= 100 && stats.interruptions == 1 && stats.input_lost_us == 0);
    int16_t frame[480];
    TalkpathHeard what;
    CHECK_STATUS(talkpath_agent_read(agent, frame, 480, &what), TALKPATH_STATUS_SESSION_ENDED);
    size_t taken;
    CHECK_STATUS(talkpath_agent_write(agent, speech, 10, 8000, "", generation, &taken), TALKPATH_STATUS_SESSION_ENDED);

    /* The two ends may go in either order. */
    talkpath_session_free(session);
    CHECK_OK(talkpath_agent_stats(agent, &stats));
    talkpath_agent_free(agent);
    talkpath_session_free(NULL);
    talkpath_agent_free(NULL);
    talkpath_receipt_free(NULL);
    return 0;
}
