/*
 * A stereo recording whose sides come at their own pace: each says where its samples lie in the call; silence is in
 * between.
 *
 * It is written under a name that begins with a dot, and gets its own when it is complete and on the disk.
 */
#ifndef RECORDING_H
#define RECORDING_H

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "wav.h"

enum { RECORDING_WINDOW_S = 2 /* one side may be so far ahead of the other */ };

struct recording {
    int folder;
    FILE *file;
    char part[84]; /* a dot, and the name */
    uint32_t rate_hz;
    int16_t *window;        /* a ring of what lies before both ends */
    uint64_t end[2], saved; /* in samples: of each side, and of what is in the file */
    bool has_failed;
};

/* Begins a file in an open folder, which stays open for as long as the recording; false and errno if that fails. */
static inline bool recording_begin(struct recording *recording, int folder, const char *name, uint32_t rate_hz)
{
    *recording = (struct recording){.folder = folder, .rate_hz = rate_hz};
    snprintf(recording->part, sizeof recording->part, ".%s", name);
    int fd = openat(folder, recording->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    recording->file = fd == -1 ? NULL : fdopen(fd, "wb");
    recording->window = calloc(2 * (size_t)RECORDING_WINDOW_S * rate_hz, sizeof *recording->window);
    return recording->file != NULL && recording->window != NULL && wav_begin(recording->file, rate_hz, 2);
}

/* Writes what lies before `until`, so that no side can add to it any more. */
static inline void recording_save(struct recording *recording, uint64_t until)
{
    uint64_t room = (uint64_t)RECORDING_WINDOW_S * recording->rate_hz;
    for (; recording->saved < until; recording->saved++) {
        int16_t *pair = recording->window + 2 * (recording->saved % room);
        recording->has_failed |= !wav_write(recording->file, pair, 2);
        pair[0] = pair[1] = 0;
    }
}

/* Puts samples of one side, 0 or 1, where they lie; what comes after its place was written is left out. */
static inline void recording_put(struct recording *recording, int side, uint64_t at, const int16_t *samples, size_t len)
{
    uint64_t room = (uint64_t)RECORDING_WINDOW_S * recording->rate_hz, end = at + len;
    if (end > room) {
        recording_save(recording, end - room); /* the other side is silent */
    }
    for (size_t i = 0; i < len; i++) {
        if (at + i >= recording->saved) {
            recording->window[2 * ((at + i) % room) + (uint64_t)side] = samples[i];
        }
    }
    recording->end[side] = end > recording->end[side] ? end : recording->end[side];
    recording_save(recording, recording->end[recording->end[0] > recording->end[1]]);
}

/* Completes the file and gives it its name; false and errno if it stays a part. NULL names are what never began. */
static inline bool recording_end(struct recording *recording)
{
    bool is_whole = recording->file != NULL;
    if (is_whole) {
        recording_save(recording, recording->end[recording->end[0] < recording->end[1]]);
        is_whole = !recording->has_failed && wav_end(recording->file) && fsync(fileno(recording->file)) == 0;
        is_whole = fclose(recording->file) == 0 && is_whole;
        is_whole = is_whole && renameat(recording->folder, recording->part, recording->folder, recording->part + 1) == 0;
        is_whole = is_whole && fsync(recording->folder) == 0;
    }
    free(recording->window);
    recording->file = NULL;
    recording->window = NULL;
    return is_whole;
}

#endif
