/* What every C test shares: a check that says where it failed, and statuses as texts. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "talkpath.h"

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                            \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

#define CHECK_STATUS(call, wanted) check_status((call), (wanted), __FILE__, __LINE__, #call)
#define CHECK_OK(call) CHECK_STATUS(call, TALKPATH_STATUS_OK)

static inline void check_status(TalkpathStatus got, TalkpathStatus wanted, const char *file, int line, const char *call)
{
    if (got != wanted) {
        char text[256];
        size_t needed = 0;
        talkpath_last_error(text, sizeof text, &needed);
        fprintf(stderr, "%s:%d: %s: got \"%s\", wanted \"%s\"; last error: %s\n", file, line, call,
                talkpath_status_str((int32_t)got), talkpath_status_str((int32_t)wanted), text);
        exit(1);
    }
}

/* The text of the last failure on this thread contains a word. */
static inline void check_error_says(const char *word)
{
    char text[512];
    size_t needed = 0;
    CHECK(talkpath_last_error(text, sizeof text, &needed) == TALKPATH_STATUS_OK);
    if (strstr(text, word) == NULL) {
        fprintf(stderr, "last error \"%s\", wanted one with \"%s\"\n", text, word);
        exit(1);
    }
}

#endif
