/* Statuses have texts, failures leave one per thread, and the versions of header and library agree. */
#include <threads.h>

#include "check.h"

static int other_thread(void *unused)
{
    (void)unused;
    size_t needed = 99;
    CHECK_OK(talkpath_last_error(NULL, 0, &needed));
    CHECK(needed == 0);
    return 0;
}

int main(void)
{
    CHECK(talkpath_abi_version() == TALKPATH_ABI_VERSION);
    CHECK(strlen(talkpath_version()) >= 5);
    CHECK(talkpath_has_feature("opus") && talkpath_has_feature("g722") && talkpath_has_feature("silero"));
    CHECK(!talkpath_has_feature("flying") && !talkpath_has_feature(NULL));
    for (int32_t status = -3; status < 40; status++) {
        CHECK(strlen(talkpath_status_str(status)) > 3);
    }

    size_t needed = 1;
    CHECK_OK(talkpath_last_error(NULL, 0, &needed));
    CHECK(needed == 0);
    TalkpathLevel level;
    CHECK_STATUS(talkpath_level_measure(NULL, 3, &level), TALKPATH_STATUS_NULL_POINTER);
    check_error_says("samples is NULL");

    /* It is cut to fit, and says how long it is. */
    char cut[6];
    CHECK_OK(talkpath_last_error(cut, sizeof cut, &needed));
    CHECK(strcmp(cut, "sampl") == 0 && needed > sizeof cut);
    CHECK_STATUS(talkpath_last_error(NULL, 4, &needed), TALKPATH_STATUS_NULL_POINTER);
    CHECK_STATUS(talkpath_last_error(cut, sizeof cut, NULL), TALKPATH_STATUS_NULL_POINTER);

    thrd_t thread;
    CHECK(thrd_create(&thread, other_thread, NULL) == thrd_success);
    CHECK(thrd_join(thread, NULL) == thrd_success);
    check_error_says("samples is NULL");
    return 0;
}
