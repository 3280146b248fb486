/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The agent's pace: which of its audio comes so late that it is left out, and which pauses are shortened to catch up.
 *
 * An agent sends in one of two ways. A live one sends 20 ms every 20 ms, silence too: what is held up on its way makes
 * everything after it late, for good. Any other sends what it has to say as fast as it likes, and nothing between: that
 * is early, never late. This tells the two apart by the clock, and says of each message what is to be done with it. It
 * owns no clock, no samples and no queue.
 */
#ifndef APP_TALKPATH_PACE_H
#define APP_TALKPATH_PACE_H

#include <stdbool.h>
#include <stdint.h>

enum pace_verdict {
	PACE_PLAY, /* to be heard */
	PACE_SKIP, /* silence that only keeps what comes after it late */
	PACE_LATE, /* to be left out */
};

struct pace {
	bool has_begun;
	/* When the agent began this stretch, and how much it has sent since: on time it sends as much as passes. */
	uint64_t base_us;
	uint64_t position_us;
	uint64_t last_us;
	/* Since when it has kept to the pace of speech. */
	uint64_t live_since_us;
	/* How much silence came last. */
	uint64_t silent_us;
};

/* One message, as it came. */
struct pace_message {
	uint64_t duration_us;
	/* How much audio has come right behind it. */
	uint64_t behind_us;
	bool is_silent;
};

/*
 * Judges the next message, which came by `now_us` where `waiting_us` wait to be heard before it.
 *
 * `late_us` is how late it may be heard at most, UINT64_MAX for any; `target_us` how much has to wait so that the
 * agent's unevenness is not heard.
 */
enum pace_verdict pace_judge(struct pace *pace, const struct pace_message *message, uint64_t now_us,
	uint64_t waiting_us, uint64_t target_us, uint64_t late_us);

/* Whether the agent had paused before a message that comes at `now_us`: in what it says, or by saying nothing. */
bool pace_has_paused(const struct pace *pace, uint64_t now_us);

/* How long a pause is, of silence or of nothing. */
#define PACE_PAUSE_US 200000

#endif
