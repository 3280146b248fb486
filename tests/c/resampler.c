/* A resampler: a tone keeps its power, whatever the chunks; what has no room or no meaning is refused. */
#include <math.h>

#include "check.h"

int main(void)
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
    return 0;
}
