/* An encoder is freed twice: the library's memory is malloc's, so valgrind and AddressSanitizer must see it. */
#include "../check.h"

int main(void)
{
    TalkpathEncoder *encoder = NULL;
    CHECK_OK(talkpath_encoder_new(TALKPATH_CODEC_ULAW, 8000, &encoder));
    talkpath_encoder_free(encoder);
    talkpath_encoder_free(encoder);
    return 0;
}
