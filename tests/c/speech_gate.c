/* The gate: some voice makes an onset, some quiet an offset, each told with when it really was. */
#include "check.h"

int main(void)
{
    TalkpathSpeechGate *gate = NULL;
    CHECK_STATUS(talkpath_speech_gate_new(60, 60, NULL), TALKPATH_STATUS_NULL_POINTER);
    CHECK_OK(talkpath_speech_gate_new(60, 60, &gate));
    const TalkpathVadVerdict voice = {.speech = true, .score = 0.6f, .threshold = 0.5f};
    const TalkpathVadVerdict quiet = {.speech = false, .score = 0.1f, .threshold = 0.5f};
    const TalkpathVadVerdict sure = {.speech = true, .score = 0.95f, .threshold = 0.5f};
    const struct {
        const TalkpathVadVerdict *verdict;
        int32_t edge;
        uint64_t ago_us;
    } steps[] = {
        {&quiet, TALKPATH_EDGE_NONE, 0},
        {&voice, TALKPATH_EDGE_NONE, 0},
        {&quiet, TALKPATH_EDGE_NONE, 0},
        {&voice, TALKPATH_EDGE_NONE, 0},
        {&voice, TALKPATH_EDGE_ONSET, 80000},
        {&quiet, TALKPATH_EDGE_NONE, 0},
        {&quiet, TALKPATH_EDGE_NONE, 0},
        {&quiet, TALKPATH_EDGE_OFFSET, 60000},
        {&sure, TALKPATH_EDGE_NONE, 0},
        {&sure, TALKPATH_EDGE_ONSET, 40000},
    };
    int32_t edge = 77;
    uint64_t ago_us = 77;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        CHECK_OK(talkpath_speech_gate_update(gate, steps[i].verdict, 20000, &edge, &ago_us));
        CHECK(edge == steps[i].edge && ago_us == steps[i].ago_us);
    }
    CHECK_OK(talkpath_speech_gate_reset(gate));
    for (int i = 0; i < 5; i++) {
        CHECK_OK(talkpath_speech_gate_update(gate, &quiet, 20000, &edge, &ago_us));
        CHECK(edge == TALKPATH_EDGE_NONE);
    }
    edge = 77;
    CHECK_STATUS(talkpath_speech_gate_update(NULL, &quiet, 20000, &edge, &ago_us), TALKPATH_STATUS_NULL_POINTER);
    CHECK_STATUS(talkpath_speech_gate_update(gate, NULL, 20000, &edge, &ago_us), TALKPATH_STATUS_NULL_POINTER);
    CHECK_STATUS(talkpath_speech_gate_update(gate, &quiet, 20000, &edge, NULL), TALKPATH_STATUS_NULL_POINTER);
    CHECK_STATUS(talkpath_speech_gate_reset(NULL), TALKPATH_STATUS_NULL_POINTER);
    CHECK(edge == 77);
    talkpath_speech_gate_free(gate);
    talkpath_speech_gate_free(NULL);
    return 0;
}
