/* SPDX-License-Identifier: GPL-2.0-only */
#include "pace.h"

/* After so much of it an agent counts as live. */
#define LIVE_US 2000000
/* What a live agent may be ahead of the clock: an uneven timer, not a reader of files. */
#define LEAD_US 200000
/* A live agent that stops in the middle of a word for longer has stopped; for less, its audio is on its way. */
#define STALL_US 5000000
/* A pause in speech may be shortened once it has lasted so long. */
#define SHORTEST_PAUSE_US 60000
/* A lead of this much grows from nothing but a fast clock; a fiftieth of a message at a time takes it back. */
#define DRIFT_US 20000
#define DRIFT_SHARE 50

enum pace_verdict pace_judge(struct pace *pace, const struct pace_message *message, uint64_t now_us,
	uint64_t waiting_us, uint64_t target_us, uint64_t late_us)
{
	bool is_live = pace->has_begun && pace->last_us - pace->live_since_us >= LIVE_US;
	uint64_t gap_us = now_us - pace->last_us;
	uint64_t sent_us;
	int64_t lead_us, lateness_us;

	if (!pace->has_begun || (gap_us >= PACE_PAUSE_US && !(is_live && !pace->silent_us && gap_us <= STALL_US))) {
		/* A new stretch; what still waits is the agent's by right. */
		pace->has_begun = true;
		pace->base_us = now_us;
		pace->position_us = waiting_us;
		pace->live_since_us = now_us;
		is_live = false;
	}
	/* Time that it has let pass without sending anything for it will not come any more. */
	sent_us = pace->position_us + message->duration_us + message->behind_us;
	if (pace->base_us + sent_us < now_us) {
		pace->base_us = now_us - sent_us;
	}
	lead_us = (int64_t) (pace->base_us + pace->position_us) - (int64_t) now_us;
	if (lead_us > LEAD_US) {
		pace->live_since_us = now_us;
		is_live = false;
	} else if (is_live && lead_us > DRIFT_US) {
		pace->base_us -= message->duration_us / DRIFT_SHARE;
	}
	lateness_us = (int64_t) waiting_us - lead_us;

	pace->position_us += message->duration_us;
	pace->last_us = now_us;
	pace->silent_us = message->is_silent ? pace->silent_us + message->duration_us : 0;
	if (is_live && late_us != UINT64_MAX && lateness_us > (int64_t) late_us) {
		return PACE_LATE;
	}
	if (pace->silent_us >= SHORTEST_PAUSE_US && lateness_us > (int64_t) target_us) {
		return PACE_SKIP;
	}
	return PACE_PLAY;
}

bool pace_has_paused(const struct pace *pace, uint64_t now_us)
{
	return pace->silent_us >= PACE_PAUSE_US || now_us - pace->last_us >= PACE_PAUSE_US;
}
