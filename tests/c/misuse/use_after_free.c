/* A tag is read after its receipt was freed: valgrind and AddressSanitizer must see it. */
#include "../check.h"

int main(void)
{
    TalkpathReceipt *receipt = NULL;
    TalkpathSegment segment;
    TalkpathSession *session = NULL;
    TalkpathAgent *agent = NULL;
    uint8_t said[160] = {0};
    CHECK_OK(talkpath_session_new(NULL, false, false, 0, &session));
    CHECK_OK(talkpath_session_handle_audio(session, TALKPATH_CODEC_ULAW, 8000, said, sizeof said, 0));
    TalkpathOutput output;
    do {
        CHECK_OK(talkpath_session_poll(session, 0, &output));
    } while (output.kind != TALKPATH_OUTPUT_STARTED);
    CHECK_OK(talkpath_session_take_agent(session, &agent));
    int16_t speech[160] = {0};
    size_t taken = 0;
    CHECK_OK(talkpath_agent_write(agent, speech, 160, 8000, "a tag", 0, &taken));
    CHECK_OK(talkpath_agent_interrupt(agent, &receipt));
    CHECK_OK(talkpath_receipt_segment(receipt, 0, &segment));
    talkpath_receipt_free(receipt);
    int result = segment.tag[0] == 'a';
    talkpath_agent_free(agent);
    talkpath_session_free(session);
    return result ? 0 : 2;
}
