/* Both detectors: silence is no speech, and what they refuse. */
#include <math.h>

#include "check.h"

static void detection(int32_t detector)
{
    TalkpathVad *vad = NULL;
    CHECK_STATUS(talkpath_vad_new(9, 8000, &vad), TALKPATH_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(talkpath_vad_new(detector, 44100, &vad), TALKPATH_STATUS_INVALID_ARGUMENT);
    CHECK_OK(talkpath_vad_new(detector, 8000, &vad));
    CHECK_STATUS(talkpath_vad_set_sensitivity(vad, 2), TALKPATH_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(talkpath_vad_set_sensitivity(vad, NAN), TALKPATH_STATUS_INVALID_ARGUMENT);
    CHECK_OK(talkpath_vad_set_sensitivity(vad, 0.5f));
    int16_t quiet[160] = {0};
    TalkpathVadVerdict verdict;
    for (int n = 0; n < 50; n++) {
        CHECK_OK(talkpath_vad_process(vad, quiet, 160, &verdict));
        CHECK(!verdict.speech && verdict.score <= verdict.threshold);
    }
    CHECK_OK(talkpath_vad_reset(vad));
    CHECK_STATUS(talkpath_vad_process(NULL, quiet, 160, &verdict), TALKPATH_STATUS_NULL_POINTER);
    talkpath_vad_free(vad);
    talkpath_vad_free(NULL);
}

int main(void)
{
    detection(TALKPATH_VAD_PHONE);
    detection(TALKPATH_VAD_SILERO);
    return 0;
}
