/* Levels: what they measure, and what they refuse. */
#include <math.h>

#include "check.h"

int main(void)
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
    CHECK_STATUS(talkpath_level_measure(NULL, 160, &level), TALKPATH_STATUS_NULL_POINTER);
    return 0;
}
