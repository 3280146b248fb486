/* Level, resampler and detector: what they measure, and what they refuse. */
#include <math.h>

#include "check.h"

static void levels(void)
{
    int16_t square[160];
    for (int i = 0; i < 160; i++) {
        square[i] = i % 2 ? 16384 : -16384;
    }
    TalkpathLevel level;
    CHECK_OK(talkpath_level_measure(square, 160, &level));
    CHECK(fabsf(level.rms_dbfs + 6.02f) < 0.05f && fabsf(level.peak_dbfs + 6.02f) < 0.05f);
    CHECK_OK(talkpath_level_measure(NULL, 0, &level));
    CHECK(level.rms_dbfs < -90);
    CHECK_STATUS(talkpath_level_measure(square, 160, NULL), TALKPATH_STATUS_NULL_POINTER);
}

static void resampling(void)
{
    TalkpathResampler *resampler = NULL;
    CHECK_STATUS(talkpath_resampler_new(8000, 16000, 9, &resampler), TALKPATH_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(talkpath_resampler_new(0, 16000, 0, &resampler), TALKPATH_STATUS_INVALID_ARGUMENT);
    CHECK_OK(talkpath_resampler_new(8000, 16000, TALKPATH_QUALITY_PHONE, &resampler));
    int16_t in[160], out[320];
    double energy = 0;
    for (int n = 0; n < 50; n++) {
        for (int i = 0; i < 160; i++) {
            in[i] = (int16_t)(10000 * sin(0.4 * (n * 160 + i)));
        }
        size_t wanted = 0, written = 0;
        CHECK_OK(talkpath_resampler_output_len(resampler, 160, &wanted));
        CHECK(wanted == 320);
        CHECK_STATUS(talkpath_resampler_process(resampler, in, 160, out, 319, &written),
                     TALKPATH_STATUS_BUFFER_TOO_SMALL);
        CHECK_OK(talkpath_resampler_process(resampler, in, 160, out, 320, &written));
        CHECK(written == 320);
        for (int i = 0; n > 1 && i < 320; i++) {
            energy += (double)out[i] * out[i];
        }
    }
    CHECK(fabs(sqrt(energy / (48 * 320)) - 10000 / sqrt(2)) < 30);
    CHECK_OK(talkpath_resampler_reset(resampler));
    talkpath_resampler_free(resampler);
    talkpath_resampler_free(NULL);
}

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
    levels();
    resampling();
    detection(TALKPATH_VAD_PHONE);
    detection(TALKPATH_VAD_SILERO);
    return 0;
}
