/*
 * func_talkpath: the dialplan function TALKPATH_DETECT, which hears when somebody speaks on a channel, on libtalkpath.
 *
 * Asterisk's own TALK_DETECT asks for a level, and takes every noise above it for speech. This one asks talkpath's
 * detector, before any agent is there, and costs the channel nothing but listening. It knows Asterisk's hooks and
 * events; what speech is, when it began and when it ended is talkpath's business.
 *
 * Copyright (C) 2026 the talkpath authors. This program is free software, distributed under the terms of the GNU General
 * Public License Version 2, as Asterisk is. libtalkpath has a licence of its own.
 *
 * SPDX-License-Identifier: GPL-2.0-only
 */

/*** MODULEINFO
	<depend>talkpath</depend>
	<support_level>extended</support_level>
 ***/

#include "asterisk.h"

#include "asterisk/app.h"
#include "asterisk/audiohook.h"
#include "asterisk/channel.h"
#include "asterisk/datastore.h"
#include "asterisk/format.h"
#include "asterisk/json.h"
#include "asterisk/module.h"
#include "asterisk/pbx.h"
#include "asterisk/stasis.h"
#include "asterisk/stasis_channels.h"

#include <talkpath.h>

/*** DOCUMENTATION
	<function name="TALKPATH_DETECT" language="en_US" module="func_talkpath">
		<synopsis>
			Detects speech on a channel, and tells of it by events.
		</synopsis>
		<syntax>
			<parameter name="direction" required="true">
				<enumlist>
					<enum name="rx"><para>What is heard from the channel: its caller.</para></enum>
					<enum name="tx"><para>What is played to it.</para></enum>
				</enumlist>
			</parameter>
			<parameter name="what">
				<para>R/O. What to read of a detection; without it, one of <literal>speaking</literal>,
				<literal>silent</literal>, and <literal>off</literal>.</para>
				<enumlist>
					<enum name="speaking"><para>1 while somebody speaks, else 0.</para></enum>
					<enum name="since_ms"><para>For how long that has been so, in milliseconds.</para></enum>
					<enum name="speech_ms"><para>How much speech there has been in all.</para></enum>
					<enum name="heard_ms"><para>How much has been listened to in all.</para></enum>
					<enum name="onsets"><para>How often speech has begun.</para></enum>
					<enum name="level_dbfs"><para>The level now, in dB of full scale.</para></enum>
					<enum name="noise_dbfs"><para>The level of the background, in dB of full scale.</para></enum>
					<enum name="score"><para>How much it sounds like speech now, 0 to 1.</para></enum>
				</enumlist>
			</parameter>
		</syntax>
		<description>
			<para>When written, listens to one direction of the channel from then on:
			<literal>on</literal>, or options as <literal>name=value</literal>, separated by commas;
			<literal>off</literal> ends it. Writing again begins anew. Both directions may be listened to.</para>
			<enumlist>
				<enum name="detector"><para><literal>phone</literal> (the default) is good and cheap;
				<literal>silero</literal> hears better in noise, at twice the cost.</para></enum>
				<enum name="sensitivity"><para>0 hears only clear speech, 1 the faintest; 0.5 is the
				default.</para></enum>
				<enum name="min_speech"><para>How many milliseconds of voice make speech begin; 60 by
				default.</para></enum>
				<enum name="min_silence"><para>How many milliseconds of pause make it end; 300 by
				default.</para></enum>
				<enum name="events"><para><literal>user</literal> (the default), <literal>talking</literal>,
				<literal>both</literal> or <literal>none</literal>.</para></enum>
				<enum name="variables"><para><literal>yes</literal> sets the channel variables
				<variable>TALKPATH_RX_SPEAKING</variable> (1 or 0) and <variable>TALKPATH_RX_SPEECH_MS</variable>, or
				those with <literal>TX</literal>, whenever speech begins or ends; <literal>no</literal> is the
				default.</para></enum>
			</enumlist>
			<para>Events of the kind <literal>user</literal> are <literal>UserEvent</literal> in AMI and
			<literal>ChannelUserevent</literal> in ARI: <literal>TalkPathSpeechStarted</literal> and
			<literal>TalkPathSpeechStopped</literal>, with <literal>Direction</literal>, <literal>Position</literal> (when
			it was, in milliseconds of what has been heard since the detection began), <literal>Decided</literal> (when
			that was known), and for the latter <literal>Duration</literal>. Those of the kind <literal>talking</literal>,
			of rx alone, are the ones that
			TALK_DETECT has: <literal>ChannelTalkingStart</literal> and <literal>ChannelTalkingStop</literal> in AMI,
			<literal>ChannelTalkingStarted</literal> and <literal>ChannelTalkingFinished</literal> in ARI.</para>
			<para>A detection stays with the channel over bridges, transfers and masquerades. What a hook that was set
			before does to the audio, such as JITTERBUFFER or DENOISE, is heard.</para>
			<example title="Listen to the caller">
			same => n,Set(TALKPATH_DETECT(rx)=on)
			</example>
			<example title="Hear only clear speech, and take longer pauses for a part of it">
			same => n,Set(TALKPATH_DETECT(rx)=sensitivity=0.3,min_silence=700)
			</example>
			<example title="Say how long the caller has been speaking">
			same => n,Verbose(${TALKPATH_DETECT(rx,since_ms)} ms)
			</example>
			<example title="Stop listening">
			same => n,Set(TALKPATH_DETECT(rx)=off)
			</example>
		</description>
		<see-also>
			<ref type="function">TALK_DETECT</ref>
		</see-also>
	</function>
 ***/

struct options {
	int32_t detector;
	float sensitivity;
	unsigned int min_speech_ms;
	unsigned int min_silence_ms;
	unsigned int user_events:1;
	unsigned int talking_events:1;
	unsigned int variables:1;
};

enum {
	/* What the detector is asked about at a time. */
	FRAME_MS = 20,
	/* The most samples in that: at 16 kHz, the higher of the detector's two rates. */
	FRAME_SAMPLES = 16 * FRAME_MS,
	/* What a resampler may make of 20 ms at any rate: that, and its rounding. */
	RESAMPLED = FRAME_SAMPLES + 8,
};

/* One direction of one channel that is listened to. */
struct detection {
	struct ast_audiohook audiohook;	/* first, so that the one leads to the other without a search */
	enum ast_audiohook_direction direction;
	struct options options;
	TalkpathVad *vad;
	TalkpathSpeechGate *gate;
	TalkpathResampler *resampler;	/* NULL where the detector's rate is that of the audio */
	unsigned int rate;	/* of the audio as it comes */
	unsigned int vad_rate;
	int16_t frame[FRAME_SAMPLES];
	size_t filled;
	TalkpathVadVerdict verdict;
	uint64_t heard_us;
	uint64_t speech_us;	/* in runs that are over */
	uint64_t since_us;	/* when the present run, of speech or of silence, began */
	unsigned int onsets;
	unsigned int is_speaking:1;
	unsigned int is_over:1;	/* listens no more, and waits to be freed with its channel */
};

static const char *name_of(enum ast_audiohook_direction direction)
{
	return direction == AST_AUDIOHOOK_DIRECTION_READ ? "rx" : "tx";
}

static int direction_of(const char *name, enum ast_audiohook_direction *direction)
{
	if (!strcasecmp(name, "rx")) {
		*direction = AST_AUDIOHOOK_DIRECTION_READ;
	} else if (!strcasecmp(name, "tx")) {
		*direction = AST_AUDIOHOOK_DIRECTION_WRITE;
	} else {
		return -1;
	}
	return 0;
}

static void log_failure(const struct ast_channel *chan)
{
	char text[256] = "";
	size_t needed;

	talkpath_last_error(text, sizeof(text), &needed);
	ast_log(LOG_ERROR, "TALKPATH_DETECT on %s: %s\n", ast_channel_name(chan), text);
}

/* What is told: all of it is called with the channel locked, and only when speech begins or ends. */

static void tell_user(struct ast_channel *chan, const struct detection *d, uint64_t position_us, uint64_t duration_us)
{
	struct ast_json *blob = ast_json_pack("{s: s, s: s, s: I, s: I}",
		"eventname", d->is_speaking ? "TalkPathSpeechStarted" : "TalkPathSpeechStopped",
		"Direction", name_of(d->direction),
		"Position", (ast_json_int_t) position_us / 1000,
		"Decided", (ast_json_int_t) d->heard_us / 1000);

	if (!blob) {
		return;
	}
	if (!d->is_speaking) {
		ast_json_object_set(blob, "Duration", ast_json_integer_create(duration_us / 1000));
	}
	ast_multi_object_blob_single_channel_publish(chan, ast_multi_user_event_type(), blob);
	ast_json_unref(blob);
}

static void tell_talking(struct ast_channel *chan, const struct detection *d, uint64_t duration_us)
{
	struct ast_json *blob = NULL;

	if (d->direction != AST_AUDIOHOOK_DIRECTION_READ) {
		return;
	}
	if (!d->is_speaking && !(blob = ast_json_pack("{s: I}", "duration", (ast_json_int_t) duration_us / 1000))) {
		return;
	}
	ast_channel_publish_cached_blob(chan, d->is_speaking ? ast_channel_talking_start() : ast_channel_talking_stop(), blob);
	ast_json_unref(blob);
}

static void set_variables(struct ast_channel *chan, const struct detection *d)
{
	int is_rx = d->direction == AST_AUDIOHOOK_DIRECTION_READ;
	char ms[24];

	snprintf(ms, sizeof(ms), "%" PRIu64, d->speech_us / 1000);
	pbx_builtin_setvar_helper(chan, is_rx ? "TALKPATH_RX_SPEECH_MS" : "TALKPATH_TX_SPEECH_MS", ms);
	pbx_builtin_setvar_helper(chan, is_rx ? "TALKPATH_RX_SPEAKING" : "TALKPATH_TX_SPEAKING", d->is_speaking ? "1" : "0");
}

/* Speech began or ended, `ago_us` before the end of what has been heard. */
static void turn(struct ast_channel *chan, struct detection *d, int is_speaking, uint64_t ago_us)
{
	uint64_t position_us = d->heard_us - MIN(ago_us, d->heard_us), duration_us = 0;

	if (is_speaking) {
		d->onsets++;
	} else {
		duration_us = position_us - MIN(d->since_us, position_us);
		d->speech_us += duration_us;
	}
	d->is_speaking = is_speaking;
	d->since_us = position_us;
	if (d->options.user_events) {
		tell_user(chan, d, position_us, duration_us);
	}
	if (d->options.talking_events) {
		tell_talking(chan, d, duration_us);
	}
	if (d->options.variables) {
		set_variables(chan, d);
	}
}

/* Listening: all of it is called with the channel and the hook locked, for every frame, and does not allocate unless the
 * rate changes. */

static void hear(struct ast_channel *chan, struct detection *d, const int16_t *samples, size_t len)
{
	size_t wanted = d->vad_rate / 1000 * FRAME_MS;

	while (len) {
		size_t taken = MIN(len, wanted - d->filled);
		int32_t edge;
		uint64_t ago_us;

		memcpy(d->frame + d->filled, samples, 2 * taken);
		d->filled += taken;
		samples += taken;
		len -= taken;
		if (d->filled < wanted) {
			return;
		}
		d->filled = 0;
		d->heard_us += 1000 * FRAME_MS;
		if (talkpath_vad_process(d->vad, d->frame, wanted, &d->verdict) != TALKPATH_STATUS_OK
			|| talkpath_speech_gate_update(d->gate, &d->verdict, 1000 * FRAME_MS, &edge, &ago_us) != TALKPATH_STATUS_OK) {
			log_failure(chan);
			d->is_over = 1;
			return;
		}
		if (edge != TALKPATH_EDGE_NONE) {
			turn(chan, d, edge == TALKPATH_EDGE_ONSET, ago_us);
		}
	}
}

/* Gets ready for audio of another rate. What a channel itself carries decides whether there is anything to hear above
 * 4 kHz: Asterisk raises both directions to the higher rate of the two. */
static int retune(struct ast_channel *chan, struct detection *d, unsigned int rate, unsigned int vad_rate)
{
	talkpath_resampler_free(d->resampler);
	d->resampler = NULL;
	if (vad_rate != d->vad_rate) {
		talkpath_vad_free(d->vad);
		d->vad = NULL;
		d->filled = 0;
		if (talkpath_vad_new(d->options.detector, vad_rate, &d->vad) != TALKPATH_STATUS_OK
			|| talkpath_vad_set_sensitivity(d->vad, d->options.sensitivity) != TALKPATH_STATUS_OK) {
			return -1;
		}
	}
	if (rate != vad_rate
		&& talkpath_resampler_new(rate, vad_rate, TALKPATH_QUALITY_PHONE, &d->resampler) != TALKPATH_STATUS_OK) {
		return -1;
	}
	d->rate = rate;
	d->vad_rate = vad_rate;
	ast_debug(1, "TALKPATH_DETECT(%s) on %s: from %u to %u Hz\n", name_of(d->direction), ast_channel_name(chan), rate,
		vad_rate);
	return 0;
}

static int on_audio(struct ast_audiohook *audiohook, struct ast_channel *chan, struct ast_frame *frame,
	enum ast_audiohook_direction direction)
{
	struct detection *d = (struct detection *) audiohook;
	struct ast_format *own;
	unsigned int rate, vad_rate;
	const int16_t *samples;
	size_t len, step;

	/* A hook that is detached is told so without a frame. Whatever is returned, 1 says that the audio is as it was. */
	if (!frame || audiohook->status != AST_AUDIOHOOK_STATUS_RUNNING || direction != d->direction || d->is_over
		|| frame->frametype != AST_FRAME_VOICE) {
		return 1;
	}
	own = direction == AST_AUDIOHOOK_DIRECTION_READ ? ast_channel_rawreadformat(chan) : ast_channel_rawwriteformat(chan);
	rate = ast_format_get_sample_rate(frame->subclass.format);
	vad_rate = rate >= 16000 && (!own || ast_format_get_sample_rate(own) >= 16000) ? 16000 : 8000;
	if ((rate != d->rate || vad_rate != d->vad_rate) && retune(chan, d, rate, vad_rate)) {
		log_failure(chan);
		d->is_over = 1;
		return 1;
	}
	samples = frame->data.ptr;
	len = frame->datalen / 2;
	if (!d->resampler) {
		hear(chan, d, samples, len);
		return 1;
	}
	for (; len && !d->is_over; samples += step, len -= step) {
		int16_t out[RESAMPLED];
		size_t written = 0;

		step = MIN(len, rate / 1000 * FRAME_MS);
		if (talkpath_resampler_process(d->resampler, samples, step, out, ARRAY_LEN(out), &written) != TALKPATH_STATUS_OK) {
			log_failure(chan);
			d->is_over = 1;
		}
		hear(chan, d, out, written);
	}
	return 1;
}

/* What a channel keeps. */

static void free_detection(void *data)
{
	struct detection *d = data;

	ast_audiohook_lock(&d->audiohook);
	ast_audiohook_detach(&d->audiohook);
	ast_audiohook_unlock(&d->audiohook);
	ast_audiohook_destroy(&d->audiohook);
	talkpath_vad_free(d->vad);
	talkpath_speech_gate_free(d->gate);
	talkpath_resampler_free(d->resampler);
	ast_free(d);
	ast_module_unref(AST_MODULE_SELF);
}

static void on_masquerade(void *data, struct ast_channel *from attribute_unused, struct ast_channel *to);

static const struct ast_datastore_info detection_info = {
	.type = "talkpath_detect",
	.destroy = free_detection,
	.chan_fixup = on_masquerade,
};

/* A channel takes another's place, and its hooks along: where both listen, the one that stays is listened to as before. */
static void on_masquerade(void *data, struct ast_channel *from attribute_unused, struct ast_channel *to)
{
	struct detection *d = data;

	if (ast_channel_datastore_find(to, &detection_info, name_of(d->direction))) {
		d->is_over = 1;
		ast_audiohook_update_status(&d->audiohook, AST_AUDIOHOOK_STATUS_SHUTDOWN);
	}
}

static struct ast_datastore *find(struct ast_channel *chan, enum ast_audiohook_direction direction)
{
	return ast_channel_datastore_find(chan, &detection_info, name_of(direction));
}

/* Ends the detection of one direction, if there is any, and with it what a masquerade has left over. */
static int stop(struct ast_channel *chan, enum ast_audiohook_direction direction)
{
	struct ast_datastore *datastore;

	do {
		ast_channel_lock(chan);
		if ((datastore = find(chan, direction))) {
			/* Not by detaching: that waits for the next frame, which may never come. */
			ast_audiohook_remove(chan, &((struct detection *) datastore->data)->audiohook);
			ast_channel_datastore_remove(chan, datastore);
		}
		ast_channel_unlock(chan);
		if (datastore) {
			ast_datastore_free(datastore);
		}
	} while (datastore);
	return 0;
}

static int start(struct ast_channel *chan, enum ast_audiohook_direction direction, const struct options *options)
{
	struct ast_datastore *datastore = ast_datastore_alloc(&detection_info, name_of(direction));
	struct detection *d = ast_calloc(1, sizeof(*d));

	if (!datastore || !d) {
		ast_free(d);
		if (datastore) {
			ast_datastore_free(datastore);
		}
		return -1;
	}
	ast_audiohook_init(&d->audiohook, AST_AUDIOHOOK_TYPE_MANIPULATE, "TALKPATH_DETECT", AST_AUDIOHOOK_MANIPULATE_ALL_RATES);
	d->audiohook.manipulate_callback = on_audio;
	d->direction = direction;
	d->options = *options;
	datastore->data = d;
	ast_module_ref(AST_MODULE_SELF);
	/* All that can be refused is refused here; for another rate it is made anew when audio of it comes. */
	if (talkpath_speech_gate_new(options->min_speech_ms, options->min_silence_ms, &d->gate) != TALKPATH_STATUS_OK
		|| retune(chan, d, 8000, 8000)) {
		log_failure(chan);
		ast_datastore_free(datastore);
		return -1;
	}
	stop(chan, direction);
	ast_channel_lock(chan);
	ast_channel_datastore_add(chan, datastore);
	if (ast_audiohook_attach(chan, &d->audiohook)) {
		ast_channel_datastore_remove(chan, datastore);
		ast_channel_unlock(chan);
		ast_datastore_free(datastore);
		return -1;
	}
	ast_channel_unlock(chan);
	return 0;
}

/* The function. */

static int read_number(const char *text, double least, double most, double *number)
{
	char end;

	return sscanf(text, "%30lf%c", number, &end) == 1 && *number >= least && *number <= most ? 0 : -1;
}

static int read_option(const char *name, const char *value, struct options *options)
{
	double number;

	if (!strcasecmp(name, "detector")) {
		options->detector = !strcasecmp(value, "silero") ? TALKPATH_VAD_SILERO : TALKPATH_VAD_PHONE;
		return strcasecmp(value, "silero") && strcasecmp(value, "phone") ? -1 : 0;
	}
	if (!strcasecmp(name, "sensitivity")) {
		if (read_number(value, 0, 1, &number)) {
			return -1;
		}
		options->sensitivity = number;
		return 0;
	}
	if (!strcasecmp(name, "min_speech") || !strcasecmp(name, "min_silence")) {
		if (read_number(value, 0, 60000, &number)) {
			return -1;
		}
		*(!strcasecmp(name, "min_speech") ? &options->min_speech_ms : &options->min_silence_ms) = number;
		return 0;
	}
	if (!strcasecmp(name, "events")) {
		int is_both = !strcasecmp(value, "both");

		options->user_events = is_both || !strcasecmp(value, "user");
		options->talking_events = is_both || !strcasecmp(value, "talking");
		return options->user_events || options->talking_events || !strcasecmp(value, "none") ? 0 : -1;
	}
	if (!strcasecmp(name, "variables")) {
		options->variables = ast_true(value);
		return ast_true(value) || ast_false(value) ? 0 : -1;
	}
	return -1;
}

static int read_options(const struct ast_channel *chan, char *text, struct options *options)
{
	TalkpathSessionConfig session;
	char *option;

	if (talkpath_session_config_default(&session, sizeof(session)) != TALKPATH_STATUS_OK) {
		return -1;
	}
	options->detector = session.vad;
	options->sensitivity = session.vad_sensitivity;
	options->min_speech_ms = session.vad_min_speech_ms;
	options->min_silence_ms = session.vad_hangover_ms;
	options->user_events = 1;
	if (ast_true(text)) {
		return 0;
	}
	while ((option = strsep(&text, ","))) {
		char *value = ast_strip(option), *name = ast_strip(strsep(&value, "="));

		if (!value || read_option(name, ast_strip(value), options)) {
			ast_log(LOG_WARNING, "TALKPATH_DETECT on %s: no option is '%s%s%s'\n", ast_channel_name(chan), name,
				value ? "=" : "", S_OR(value, ""));
			return -1;
		}
	}
	return 0;
}

static int detect_write(struct ast_channel *chan, const char *function, char *data, const char *value)
{
	enum ast_audiohook_direction direction;
	struct options options = { 0 };

	if (!chan) {
		ast_log(LOG_WARNING, "%s wants a channel\n", function);
		return -1;
	}
	if (direction_of(S_OR(data, ""), &direction)) {
		ast_log(LOG_WARNING, "%s of '%s', wanted rx or tx\n", function, S_OR(data, ""));
		return -1;
	}
	if (ast_false(value)) {
		return stop(chan, direction);
	}
	if (read_options(chan, ast_strdupa(value), &options)) {
		return -1;
	}
	return start(chan, direction, &options);
}

static int print(const struct detection *d, const char *what, char *buf, size_t len)
{
	uint64_t run_us = d->heard_us - MIN(d->since_us, d->heard_us);

	if (ast_strlen_zero(what)) {
		ast_copy_string(buf, d->is_speaking ? "speaking" : "silent", len);
	} else if (!strcasecmp(what, "speaking")) {
		snprintf(buf, len, "%d", d->is_speaking);
	} else if (!strcasecmp(what, "since_ms")) {
		snprintf(buf, len, "%" PRIu64, run_us / 1000);
	} else if (!strcasecmp(what, "speech_ms")) {
		snprintf(buf, len, "%" PRIu64, (d->speech_us + (d->is_speaking ? run_us : 0)) / 1000);
	} else if (!strcasecmp(what, "heard_ms")) {
		snprintf(buf, len, "%" PRIu64, d->heard_us / 1000);
	} else if (!strcasecmp(what, "onsets")) {
		snprintf(buf, len, "%u", d->onsets);
	} else if (!strcasecmp(what, "level_dbfs")) {
		snprintf(buf, len, "%.1f", d->verdict.level_dbfs);
	} else if (!strcasecmp(what, "noise_dbfs")) {
		snprintf(buf, len, "%.1f", d->verdict.noise_dbfs);
	} else if (!strcasecmp(what, "score")) {
		snprintf(buf, len, "%.3f", d->verdict.score);
	} else {
		return -1;
	}
	return 0;
}

static int detect_read(struct ast_channel *chan, const char *function, char *data, char *buf, size_t len)
{
	enum ast_audiohook_direction direction;
	struct ast_datastore *datastore;
	int res = 0;
	AST_DECLARE_APP_ARGS(args,
		AST_APP_ARG(direction);
		AST_APP_ARG(what);
	);

	if (!chan) {
		ast_log(LOG_WARNING, "%s wants a channel\n", function);
		return -1;
	}
	AST_STANDARD_APP_ARGS(args, data);
	if (direction_of(S_OR(args.direction, ""), &direction)) {
		ast_log(LOG_WARNING, "%s of '%s', wanted rx or tx\n", function, S_OR(args.direction, ""));
		return -1;
	}
	ast_channel_lock(chan);
	if ((datastore = find(chan, direction))) {
		res = print(datastore->data, args.what, buf, len);
	} else {
		ast_copy_string(buf, ast_strlen_zero(args.what) ? "off" : "", len);
	}
	ast_channel_unlock(chan);
	if (res) {
		ast_log(LOG_WARNING, "%s knows nothing of '%s'\n", function, args.what);
	}
	return res;
}

static struct ast_custom_function detect_function = {
	.name = "TALKPATH_DETECT",
	.read = detect_read,
	.write = detect_write,
};

static int unload_module(void)
{
	return ast_custom_function_unregister(&detect_function);
}

static int load_module(void)
{
	if (talkpath_abi_version() != TALKPATH_ABI_VERSION) {
		ast_log(LOG_ERROR, "libtalkpath %s is another version than this module was built for\n", talkpath_version());
		return AST_MODULE_LOAD_DECLINE;
	}
	return ast_custom_function_register(&detect_function) ? AST_MODULE_LOAD_DECLINE : AST_MODULE_LOAD_SUCCESS;
}

AST_MODULE_INFO_STANDARD_EXTENDED(ASTERISK_GPL_KEY, "Speech detection by talkpath");
