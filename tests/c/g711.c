/* G.711 in one call: every byte, there and back; NULL and small outputs are refused with nothing written. */
#include "check.h"

int main(void)
{
    uint8_t all[256], again[256];
    int16_t linear[256];
    size_t written = 77;
    for (int i = 0; i < 256; i++) {
        all[i] = (uint8_t)i;
    }
    CHECK_OK(talkpath_alaw_decode(all, 256, linear, 256, &written));
    CHECK_OK(talkpath_alaw_encode(linear, 256, again, 256, &written));
    CHECK(memcmp(all, again, 256) == 0);
    CHECK_OK(talkpath_ulaw_decode(all, 256, linear, 256, &written));
    CHECK_OK(talkpath_ulaw_encode(linear, 256, again, 256, &written));
    again[127] = 127; /* negative zero becomes positive zero */
    CHECK(memcmp(all, again, 256) == 0);
    CHECK_STATUS(talkpath_ulaw_decode(all, 256, linear, 255, &written), TALKPATH_STATUS_BUFFER_TOO_SMALL);
    check_error_says("out_len of 255, wanted at least 256");

    written = 77;
    again[0] = 1;
    CHECK_STATUS(talkpath_ulaw_decode(NULL, 256, linear, 256, &written), TALKPATH_STATUS_NULL_POINTER);
    CHECK_STATUS(talkpath_alaw_decode(all, 256, NULL, 256, &written), TALKPATH_STATUS_NULL_POINTER);
    CHECK_STATUS(talkpath_ulaw_encode(linear, 256, again, 256, NULL), TALKPATH_STATUS_NULL_POINTER);
    CHECK_STATUS(talkpath_alaw_encode(linear, SIZE_MAX, again, 256, &written), TALKPATH_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(talkpath_alaw_encode(linear, 256, again, 0, &written), TALKPATH_STATUS_BUFFER_TOO_SMALL);
    CHECK(written == 77 && again[0] == 1);
    CHECK_OK(talkpath_ulaw_decode(NULL, 0, NULL, 0, &written));
    CHECK(written == 0);
    return 0;
}
