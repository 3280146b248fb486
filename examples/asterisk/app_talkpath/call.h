/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One call with an agent: a talkpath session between a channel's audio and the connection to the agent.
 *
 * The caller's audio goes in as it comes (call_hear), and out comes one frame every 20 ms (call_tick), whatever the agent
 * does. It owns no channel, no clock and no thread, and never waits; nothing in it is Asterisk's.
 */
#ifndef APP_TALKPATH_CALL_H
#define APP_TALKPATH_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include <talkpath.h>

#include "link.h"
#include "pace.h"

/* The most samples in one message: 20 ms of 192 kHz, or what the decoder gives out at once. */
#define CALL_FRAME_SAMPLES 3840
#define CALL_ID_BYTES 40

/* How a call came to its end. */
enum call_end {
	CALL_RUNS,
	CALL_AGENT,    /* the agent hung up, and was heard out */
	CALL_CALLER,   /* the caller hung up */
	CALL_KEY,      /* the caller pressed a key that ends it */
	CALL_LOST,     /* the connection to the agent broke; what had come was heard out */
	CALL_PROTOCOL, /* the agent sent what is no AudioSocket */
	CALL_IDLE,     /* the agent sent nothing for too long */
	CALL_REFUSED,  /* nobody took the connection */
	CALL_TIMEOUT,  /* the connection took too long */
	CALL_UNREACHABLE, /* there was no way to it */
	CALL_FAILED,   /* something else did not work */
};

struct call_options {
	/* What the channel has, and what the agent gets. */
	uint32_t wire_hz;
	uint32_t agent_hz;
	/* UINT32_MAX for however late. */
	uint32_t late_ms;
	/* 0 for ever. */
	uint32_t idle_ms;
	uint32_t connect_ms;
	/* -1 for the library's own. */
	int32_t barge_in_ms;
	int32_t prebuffer_ms;
	bool barge_in;
	int32_t detector;
	float sensitivity;
	int32_t echo_canceller;
	char id[CALL_ID_BYTES];
};

/* What there is to say of a call when it is over. */
struct call_summary {
	enum call_end end;
	uint64_t duration_us;
	uint64_t caller_speech_us;
	uint64_t agent_speech_us;
	/* How loud they were while they spoke, in dBFS. */
	float caller_level_dbfs;
	float agent_level_dbfs;
	/* What the channel gave, and what it was given. */
	uint64_t frames_in;
	uint64_t frames_out;
	/* Frames that were not sent to the caller because nobody asked for them in time, and those that did not reach the agent. */
	uint64_t frames_missed;
	uint64_t frames_unsent;
	/* The agent's audio that came too late, and its silence that was left out to catch up. */
	uint64_t late_us;
	uint64_t skipped_us;
	uint32_t underruns;
	uint32_t interruptions;
};

/* Something to tell others; which fields mean something, `kind` says. */
enum call_news_kind {
	CALL_CONNECTED,
	CALL_SPEECH_STARTED, /* the caller's, at position_us */
	CALL_SPEECH_STOPPED,
	CALL_AGENT_STARTED, /* utterance */
	CALL_INTERRUPTED,   /* utterance, of which played_us were heard and discarded_us were not */
	CALL_KEY_RECEIVED,  /* digit, from the caller */
	CALL_KEY_SENT,      /* digit, from the agent */
};

struct call_news {
	enum call_news_kind kind;
	uint64_t position_us;
	uint64_t played_us;
	uint64_t discarded_us;
	uint32_t utterance;
	char digit;
};

/* What a call has others do. None of them may use the call. */
struct call_hooks {
	/* Plays exactly 20 ms to the caller; `pcm` is gone afterwards. */
	void (*play)(void *user, const int16_t *pcm, size_t samples);
	/* Presses a key towards the caller. */
	void (*press)(void *user, char digit);
	void (*tell)(void *user, const struct call_news *news);
	void *user;
};

struct call {
	struct call_options options;
	struct call_hooks hooks;
	TalkpathSession *session;
	TalkpathAgent *agent;
	struct link link;
	struct pace pace;
	enum call_end end;
	/* When call_tick is to be called next. */
	uint64_t due_us;
	/* Why the connection ended, to be the call's end once the agent is heard out. */
	enum call_end ending;
	bool is_draining;
	uint64_t began_us;
	uint64_t connecting_until_us;
	uint64_t last_message_us;
	uint64_t last_heard_us;
	uint64_t frames_in;

	/* Samples of the agent for which there was no room. */
	int16_t pending[CALL_FRAME_SAMPLES];
	size_t pending_len;
	uint32_t pending_hz;

	/* The utterance: what the agent says between two pauses. */
	uint32_t utterance;
	bool is_in_utterance;
	/* From when to when the newest utterances sound, as far as is known by now. */
	uint64_t sounds_from_us;
	uint64_t sounds_until_us;
	bool can_be_interrupted;
	/* Interrupted: what the agent goes on saying is not heard until it pauses. */
	bool is_silenced;

	double caller_power;
	uint64_t caller_frames;
	double agent_power;
	uint64_t agent_frames;
	uint64_t frames_unsent;
	uint64_t late_us;
	uint64_t skipped_us;
};

/*
 * Begins a call; false if the library refuses, and talkpath_last_error says why.
 *
 * From here on call_tick is to be called when due_us has come.
 */
bool call_init(struct call *call, const struct call_options *options, const struct call_hooks *hooks, uint64_t now_us);

/* Begins to connect to the next address where the agent may be; CALL_CONNECTED tells when it is there. */
void call_connect(struct call *call, const struct sockaddr *address, socklen_t len, uint64_t now_us);

/* Takes what the caller says: slin at the wire's rate, any length. */
void call_hear(struct call *call, const int16_t *pcm, size_t samples, uint64_t now_us);

/* Takes a key that the caller pressed. */
void call_hear_key(struct call *call, char digit, uint64_t now_us);

/* Does what is due. */
void call_tick(struct call *call, uint64_t now_us);

/* Whether it has no connection and gets none: it wants another address, or an end. */
bool call_wants_address(const struct call *call);

/* Ends the call at once, for this reason unless it has ended before. */
void call_finish(struct call *call, enum call_end end, uint64_t now_us);

/* Writes what there is to say of it. */
void call_summarise(struct call *call, struct call_summary *summary, uint64_t now_us);

/* Ends it where it still runs, and frees what it holds. */
void call_free(struct call *call);

#endif
