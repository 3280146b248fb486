/* A session is never freed: valgrind and AddressSanitizer must see it. */
#include "../check.h"

int main(void)
{
    TalkpathSession *session = NULL;
    CHECK_OK(talkpath_session_new(NULL, false, false, 0, &session));
    session = NULL;
    return 0;
}
