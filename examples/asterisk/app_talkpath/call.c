/* SPDX-License-Identifier: GPL-2.0-only */
#include "call.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define FRAME_US 20000
/* What is quieter is a pause, not speech: the noise of a good line, and rounding. */
#define SILENCE_DBFS -60.0f
/* How long an utterance cannot be interrupted after it began: "hello?" overlaps "hello" without meaning to. */
#define PROTECTION_US 200000
/* What waits beyond the prebuffer only because messages do not come on the tick. */
#define SLACK_US 40000
/* How much of the agent's audio may wait: more makes a fast agent wait for the caller. */
#define QUEUE_SECONDS 60
/* How many times a tick reads a full buffer at most: 4 s of 16 kHz, and then the other calls have their turn. */
#define READS 8
/* A channel that has given nothing for so long gives nothing: less is only uneven. */
#define QUIET_US 200000

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define CODEC TALKPATH_CODEC_SLIN
#else
#define CODEC TALKPATH_CODEC_SLIN_BE
#endif

static const char PAUSE[] = "pause";
static const char SAID[] = "said-";

static void pump(struct call *call, uint64_t now_us);

bool call_init(struct call *call, const struct call_options *options, const struct call_hooks *hooks, uint64_t now_us)
{
	TalkpathSessionConfig config;

	memset(call, 0, sizeof(*call));
	call->link.fd = -1;
	call->options = *options;
	call->hooks = *hooks;
	call->began_us = now_us;
	call->last_heard_us = now_us;
	if (talkpath_session_config_default(&config, sizeof(config)) != TALKPATH_STATUS_OK) {
		return false;
	}
	config.codec = CODEC;
	config.rate_hz = options->wire_hz;
	config.output_limit_bytes = (size_t) options->wire_hz * 2 * QUEUE_SECONDS;
	config.vad = options->detector;
	config.vad_sensitivity = options->sensitivity;
	/* Only while the agent is heard, and when that is, follow_agent knows better: a live agent sends silence, too. */
	config.barge_in = false;
	config.barge_in_protection_ms = 0;
	config.barge_in_cooldown_ms = 0;
	config.echo_canceller = options->echo_canceller;
	if (options->barge_in_ms >= 0) {
		config.barge_in_min_speech_ms = (uint32_t) options->barge_in_ms;
	}
	if (options->prebuffer_ms >= 0) {
		config.prebuffer_ms = (uint32_t) options->prebuffer_ms;
	}
	/* What underruns may raise it to has to leave room under what counts as late. */
	if (options->late_ms / 2 < config.prebuffer_max_ms) {
		config.prebuffer_max_ms = options->late_ms / 2;
	}
	if (config.prebuffer_max_ms < config.prebuffer_ms) {
		config.prebuffer_max_ms = config.prebuffer_ms;
	}
	if (!link_init(&call->link)
		|| talkpath_session_new(&config, false, true, now_us, &call->session) != TALKPATH_STATUS_OK
		/* The format is known: nothing has to be heard first. */
		|| talkpath_session_handle_audio(call->session, CODEC, options->wire_hz, NULL, 0, now_us) != TALKPATH_STATUS_OK) {
		call_free(call);
		return false;
	}
	pump(call, now_us);
	if (!call->agent) {
		call_free(call);
		return false;
	}
	return true;
}

void call_connect(struct call *call, const struct sockaddr *address, socklen_t len, uint64_t now_us)
{
	call->connecting_until_us = now_us + call->options.connect_ms * 1000ull;
	link_connect(&call->link, address, len);
}

bool call_wants_address(const struct call *call)
{
	return call->end == CALL_RUNS && !call->is_draining && call->link.state == LINK_CLOSED;
}

static void tell(struct call *call, struct call_news news)
{
	call->hooks.tell(call->hooks.user, &news);
}

static double power_of(float dbfs)
{
	return pow(10.0, dbfs / 10.0);
}

/* Bytes of audio of a rate as microseconds. */
static uint64_t us_of(size_t samples, uint32_t rate_hz)
{
	return samples * 1000000ull / rate_hz;
}

/* Sends what the caller has said to the agent; before the agent is there, nobody hears it. */
static void send_heard(struct call *call)
{
	uint8_t message[LINK_MESSAGE_BYTES];
	int16_t pcm[CALL_FRAME_SAMPLES];
	TalkpathHeard heard;
	size_t len, limit = SIZE_MAX;

	if (call->options.late_ms != UINT32_MAX) {
		limit = (size_t) call->options.late_ms * call->options.agent_hz / 1000 * 2;
	}
	while (talkpath_agent_read(call->agent, pcm, CALL_FRAME_SAMPLES, &heard) == TALKPATH_STATUS_OK) {
		if (heard.speech) {
			call->caller_power += power_of(heard.level_dbfs);
			call->caller_frames++;
		}
		if (call->link.state != LINK_OPEN) {
			continue;
		}
		if (talkpath_audiosocket_encode_audio(heard.rate_hz, pcm, heard.len, message, sizeof(message), &len)
				!= TALKPATH_STATUS_OK
			|| !link_send(&call->link, message, len, limit)) {
			call->frames_unsent++;
		}
	}
}

/* The agent was interrupted: what it goes on saying is not heard until it pauses. */
static void silence(struct call *call, uint64_t now_us)
{
	struct call_news news = { .kind = CALL_INTERRUPTED, .utterance = call->utterance };
	TalkpathReceiptSummary summary;
	TalkpathReceipt *receipt;
	TalkpathSegment segment;
	size_t i;

	if (talkpath_agent_take_receipt(call->agent, &receipt) == TALKPATH_STATUS_OK) {
		if (talkpath_receipt_summary(receipt, &summary) == TALKPATH_STATUS_OK) {
			for (i = 0; i < summary.segments; i++) {
				if (talkpath_receipt_segment(receipt, i, &segment) == TALKPATH_STATUS_OK
					&& !strncmp(segment.tag, SAID, sizeof(SAID) - 1)) {
					news.played_us += segment.played_us;
					news.discarded_us += segment.discarded_us;
				}
			}
		}
		talkpath_receipt_free(receipt);
	}
	if (call->pending_len) {
		news.discarded_us += us_of(call->pending_len, call->pending_hz);
		call->pending_len = 0;
	}
	call->is_silenced = true;
	call->is_in_utterance = false;
	call->sounds_until_us = now_us;
	tell(call, news);
}

static void take_events(struct call *call, uint64_t now_us)
{
	TalkpathEvent event;
	uint8_t message[8];
	size_t len;

	while (talkpath_agent_poll_event(call->agent, &event) == TALKPATH_STATUS_OK) {
		switch (event.kind) {
		case TALKPATH_EVENT_SPEECH_STARTED:
			tell(call, (struct call_news) { .kind = CALL_SPEECH_STARTED, .position_us = event.position_us });
			break;
		case TALKPATH_EVENT_SPEECH_STOPPED:
			tell(call, (struct call_news) { .kind = CALL_SPEECH_STOPPED, .position_us = event.position_us });
			break;
		case TALKPATH_EVENT_DTMF:
			if (talkpath_audiosocket_encode_dtmf(event.digit, message, sizeof(message), &len) == TALKPATH_STATUS_OK) {
				link_send(&call->link, message, len, SIZE_MAX);
			}
			tell(call, (struct call_news) {
				.kind = CALL_KEY_RECEIVED, .digit = (char) event.digit, .position_us = event.position_us });
			break;
		case TALKPATH_EVENT_PLAYBACK_STARTED:
			if (!strncmp(event.name, SAID, sizeof(SAID) - 1)) {
				tell(call, (struct call_news) { .kind = CALL_AGENT_STARTED, .utterance = call->utterance });
			}
			break;
		case TALKPATH_EVENT_INTERRUPTED:
			silence(call, now_us);
			break;
		default:
			break;
		}
	}
}

static void play(struct call *call, const TalkpathOutput *output)
{
	int16_t pcm[CALL_FRAME_SAMPLES];
	size_t samples = output->payload_len / sizeof(pcm[0]);
	TalkpathLevel level;

	if (samples > CALL_FRAME_SAMPLES) {
		return;
	}
	memcpy(pcm, output->payload, output->payload_len);
	if (output->is_agent && talkpath_level_measure(pcm, samples, &level) == TALKPATH_STATUS_OK
		&& level.rms_dbfs > SILENCE_DBFS) {
		call->agent_power += power_of(level.rms_dbfs);
		call->agent_frames++;
	}
	call->hooks.play(call->hooks.user, pcm, samples);
}

/* Does what the session says, until there is nothing to do for now. */
static void pump(struct call *call, uint64_t now_us)
{
	TalkpathOutput output;

	while (talkpath_session_poll(call->session, now_us, &output) == TALKPATH_STATUS_OK) {
		switch (output.kind) {
		case TALKPATH_OUTPUT_STARTED:
			if (talkpath_session_take_agent(call->session, &call->agent) == TALKPATH_STATUS_OK) {
				talkpath_agent_configure_input(call->agent, call->options.agent_hz, FRAME_US / 1000, false);
			}
			break;
		case TALKPATH_OUTPUT_TRANSMIT:
			play(call, &output);
			break;
		case TALKPATH_OUTPUT_DTMF:
			call->hooks.press(call->hooks.user, (char) output.digit);
			break;
		case TALKPATH_OUTPUT_WAKE:
			if (call->agent) {
				send_heard(call);
				take_events(call, now_us);
			}
			break;
		case TALKPATH_OUTPUT_ENDED:
			if (call->end == CALL_RUNS) {
				call->end = call->is_draining ? call->ending : CALL_FAILED;
			}
			call->due_us = UINT64_MAX;
			return;
		case TALKPATH_OUTPUT_TIMEOUT:
			call->due_us = output.timeout_us;
			return;
		default:
			break;
		}
	}
	/* The library refuses: a defect, which must not spin. */
	call->end = CALL_FAILED;
	call->due_us = UINT64_MAX;
}

void call_hear(struct call *call, const int16_t *pcm, size_t samples, uint64_t now_us)
{
	if (call->end != CALL_RUNS) {
		return;
	}
	call->last_heard_us = now_us;
	call->frames_in++;
	talkpath_session_handle_audio(call->session, CODEC, call->options.wire_hz, (const uint8_t *) pcm,
		samples * sizeof(pcm[0]), now_us);
	pump(call, now_us);
}

void call_hear_key(struct call *call, char digit, uint64_t now_us)
{
	if (call->end != CALL_RUNS) {
		return;
	}
	talkpath_session_handle_dtmf(call->session, (uint8_t) digit, now_us);
	pump(call, now_us);
}

static void drain(struct call *call, enum call_end why)
{
	if (call->is_draining) {
		return;
	}
	call->is_draining = true;
	call->ending = why;
	talkpath_agent_complete(call->agent);
	talkpath_agent_hangup(call->agent, true);
}

/* Writes what is pending; false if there is no room for all of it now. */
static bool write_pending(struct call *call)
{
	char tag[24];
	uint16_t generation;
	size_t taken = 0;

	if (!call->pending_len) {
		return true;
	}
	snprintf(tag, sizeof(tag), "%s%u", SAID, call->utterance);
	if (talkpath_agent_generation(call->agent, &generation) != TALKPATH_STATUS_OK
		|| talkpath_agent_write(call->agent, call->pending, call->pending_len, call->pending_hz,
			call->is_in_utterance ? tag : PAUSE, generation, &taken) != TALKPATH_STATUS_OK) {
		/* The call is over, and nobody would hear it. */
		call->pending_len = 0;
		return true;
	}
	call->pending_len -= taken;
	memmove(call->pending, call->pending + taken, call->pending_len * sizeof(call->pending[0]));
	return !call->pending_len;
}

static void hear_agent(struct call *call, const TalkpathAudioSocketMessage *message, uint64_t now_us)
{
	uint64_t waiting_us = 0, target_us = INT64_MAX, late_us = UINT64_MAX;
	struct pace_message judged;
	enum pace_verdict verdict;
	TalkpathLevel level;
	TalkpathStats stats;
	size_t room;

	if (talkpath_audiosocket_samples(message, call->pending, CALL_FRAME_SAMPLES, &call->pending_len)
			!= TALKPATH_STATUS_OK
		|| talkpath_agent_buffered(call->agent, message->rate_hz, &waiting_us, &room) != TALKPATH_STATUS_OK
		|| talkpath_level_measure(call->pending, call->pending_len, &level) != TALKPATH_STATUS_OK
		|| !call->pending_len) {
		call->pending_len = 0;
		return;
	}
	call->pending_hz = message->rate_hz;
	judged.duration_us = us_of(call->pending_len, message->rate_hz);
	judged.behind_us = us_of(link_pending(&call->link) / 2, message->rate_hz);
	judged.is_silent = level.rms_dbfs < SILENCE_DBFS;
	if (pace_has_paused(&call->pace, now_us)) {
		call->is_silenced = false;
		call->is_in_utterance = false;
	}
	if (judged.is_silent && waiting_us > SLACK_US
		&& talkpath_agent_stats(call->agent, &stats) == TALKPATH_STATUS_OK) {
		target_us = stats.prebuffer_us + SLACK_US;
	}
	if (call->options.late_ms != UINT32_MAX) {
		late_us = call->options.late_ms * 1000ull;
	}
	verdict = pace_judge(&call->pace, &judged, now_us, waiting_us, target_us, late_us);
	if (verdict == PACE_LATE) {
		call->late_us += judged.duration_us;
	} else if (verdict == PACE_SKIP) {
		call->skipped_us += judged.duration_us;
	}
	if (verdict != PACE_PLAY || call->is_silenced) {
		call->pending_len = 0;
		return;
	}
	if (!judged.is_silent) {
		if (!call->is_in_utterance) {
			call->is_in_utterance = true;
			call->utterance++;
			if (now_us >= call->sounds_until_us) {
				call->sounds_from_us = now_us + waiting_us;
			}
		}
		call->sounds_until_us = now_us + waiting_us + judged.duration_us + SLACK_US;
	}
	write_pending(call);
}

/* Takes what the agent has sent, as far as there is room for it. */
static void receive(struct call *call, uint64_t now_us)
{
	TalkpathAudioSocketMessage message;
	char key[2] = "";
	int reads = READS;

	link_read(&call->link);
	while (!call->is_draining && write_pending(call)) {
		if (!link_next(&call->link, &message)) {
			if (call->link.state != LINK_OPEN || call->link.in_end < sizeof(call->link.in) || !--reads) {
				break;
			}
			link_read(&call->link);
			continue;
		}
		call->last_message_us = now_us;
		switch (message.kind) {
		case TALKPATH_AUDIOSOCKET_AUDIO:
			hear_agent(call, &message, now_us);
			break;
		case TALKPATH_AUDIOSOCKET_DTMF:
			key[0] = (char) message.digit;
			if (talkpath_agent_send_dtmf(call->agent, key) == TALKPATH_STATUS_OK) {
				tell(call, (struct call_news) { .kind = CALL_KEY_SENT, .digit = key[0] });
			}
			break;
		case TALKPATH_AUDIOSOCKET_HANGUP:
			drain(call, CALL_AGENT);
			link_close(&call->link);
			break;
		default: /* an error, after which nothing is to be expected */
			drain(call, CALL_LOST);
			link_close(&call->link);
			break;
		}
	}
	if (call->link.state == LINK_ENDED) {
		drain(call, CALL_AGENT);
	} else if (call->link.state == LINK_LOST) {
		drain(call, CALL_LOST);
	} else if (call->link.state == LINK_BROKEN) {
		drain(call, CALL_PROTOCOL);
	}
}

/* Goes on with a connection that is being made. */
static void follow_connection(struct call *call, uint64_t now_us)
{
	uint8_t message[32];
	size_t len;

	link_check(&call->link);
	if (call->link.state == LINK_CONNECTING && now_us >= call->connecting_until_us) {
		link_give_up(&call->link, ETIMEDOUT);
	}
	if (call->link.state != LINK_OPEN || call->last_message_us) {
		return;
	}
	call->last_message_us = now_us;
	/* Where that fails the agent has closed at once, and receive sees how. */
	if (talkpath_audiosocket_encode_id(call->options.id, message, sizeof(message), &len) == TALKPATH_STATUS_OK
		&& link_send(&call->link, message, len, SIZE_MAX)) {
		tell(call, (struct call_news) { .kind = CALL_CONNECTED });
	}
}

/* Lets the caller interrupt while the agent is heard, and not while it sends silence. */
static void follow_agent(struct call *call, uint64_t now_us)
{
	bool can = call->options.barge_in && now_us >= call->sounds_from_us + PROTECTION_US && now_us < call->sounds_until_us;

	if (can != call->can_be_interrupted) {
		call->can_be_interrupted = can;
		talkpath_agent_set_barge_in(call->agent, can);
	}
}

/* Has the agent hear silence where the channel gives nothing: an agent may take that for a call that is gone. */
static void hear_silence(struct call *call, uint64_t now_us)
{
	static const int16_t silence[CALL_FRAME_SAMPLES];

	if (now_us - call->last_heard_us >= QUIET_US) {
		talkpath_session_handle_audio(call->session, CODEC, call->options.wire_hz, (const uint8_t *) silence,
			call->options.wire_hz / 50 * sizeof(silence[0]), now_us);
	}
}

void call_tick(struct call *call, uint64_t now_us)
{
	if (call->end != CALL_RUNS) {
		return;
	}
	follow_connection(call, now_us);
	receive(call, now_us);
	follow_agent(call, now_us);
	hear_silence(call, now_us);
	pump(call, now_us);
	if (call->end == CALL_RUNS && call->options.idle_ms && call->link.state == LINK_OPEN
		&& now_us - call->last_message_us >= call->options.idle_ms * 1000ull) {
		call_finish(call, CALL_IDLE, now_us);
	}
}

void call_finish(struct call *call, enum call_end end, uint64_t now_us)
{
	if (call->end != CALL_RUNS) {
		return;
	}
	call->end = end;
	link_close(&call->link);
	talkpath_session_end(call->session, TALKPATH_END_CALLER_HANGUP, now_us);
	pump(call, now_us);
}

void call_summarise(struct call *call, struct call_summary *summary, uint64_t now_us)
{
	TalkpathStats stats;

	memset(summary, 0, sizeof(*summary));
	summary->end = call->end;
	summary->duration_us = now_us - call->began_us;
	summary->caller_speech_us = call->caller_frames * FRAME_US;
	summary->agent_speech_us = call->agent_frames * FRAME_US;
	summary->caller_level_dbfs = call->caller_frames ? (float) (10 * log10(call->caller_power / (double) call->caller_frames)) : -96.3f;
	summary->agent_level_dbfs = call->agent_frames ? (float) (10 * log10(call->agent_power / (double) call->agent_frames)) : -96.3f;
	summary->late_us = call->late_us;
	summary->skipped_us = call->skipped_us;
	summary->frames_in = call->frames_in;
	summary->frames_unsent = call->frames_unsent;
	if (call->agent && talkpath_agent_stats(call->agent, &stats) == TALKPATH_STATUS_OK) {
		summary->frames_out = stats.frames_sent;
		summary->frames_missed = stats.missed_ticks;
		summary->frames_unsent += stats.input_lost_us / FRAME_US;
		summary->underruns = stats.underruns;
		summary->interruptions = stats.interruptions;
	}
}

void call_free(struct call *call)
{
	link_free(&call->link);
	/* Before the agent's end, whose freeing would ask it to hang up. */
	talkpath_session_free(call->session);
	talkpath_agent_free(call->agent);
	call->session = NULL;
	call->agent = NULL;
}
