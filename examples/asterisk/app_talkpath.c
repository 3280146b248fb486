/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * TalkPath(): a dialplan application that connects a call to a voice agent, over AudioSocket.
 *
 * The channel's own thread does it all and never waits for the agent: audio goes through a talkpath session in this
 * process, which hears when the caller speaks, lets him interrupt, and hands one frame to the channel every 20 ms whatever
 * the agent does. What is here is Asterisk's side of it: arguments, the channel, variables and events. The call itself
 * is in app_talkpath/call.c, which knows nothing of Asterisk.
 */

/*** MODULEINFO
	<support_level>extended</support_level>
 ***/

/*** DOCUMENTATION
	<application name="TalkPath" language="en_US" module="app_talkpath">
		<synopsis>
			Connect the call to a voice agent over AudioSocket.
		</synopsis>
		<syntax>
			<parameter name="agents" required="true" argsep="&amp;">
				<argument name="agent" required="true">
					<para>Where the agent listens: host:port; an IPv6 address stands in brackets.</para>
				</argument>
				<argument name="agent2" multiple="true">
					<para>Where to try next if there is nobody.</para>
				</argument>
			</parameter>
			<parameter name="options">
				<optionlist>
					<option name="b">
						<argument name="ms" required="true" />
						<para>How much voice interrupts the agent, 20 to 5000 ms. The default is 60.</para>
					</option>
					<option name="B">
						<para>The caller does not interrupt the agent by speaking.</para>
					</option>
					<option name="c">
						<argument name="codec" required="true" />
						<para>What the agent is sent: slin, slin12, slin16, slin24, slin32, slin44, slin48, slin96 or
						slin192. The default is slin16 where the channel has wideband audio, else slin. What the agent
						sends may be any of them.</para>
					</option>
					<option name="d">
						<argument name="detector" required="true" />
						<para>Which detector listens for speech: phone (the default), silero (the best, and the dearest)
						or none; with a colon and a number from 0 to 1 behind it, how sensitive it is: phone:0.7. The
						default is 0.5. Without a detector there are no events of speech and no interruption.</para>
					</option>
					<option name="e">
						<argument name="mode" required="true" />
						<para>When the agent's own echo is cancelled: auto (the default, once the line has shown some), on
						or off.</para>
					</option>
					<option name="i">
						<argument name="seconds" required="true" />
						<para>Ends the application when the agent has sent nothing at all for so long. By default it may
						be silent for ever.</para>
					</option>
					<option name="k">
						<argument name="keys" required="true" />
						<para>Keys of the caller that end the application. All others go to the agent.</para>
					</option>
					<option name="l">
						<argument name="ms" required="true" />
						<para>How late audio may be, 100 to 60000 ms, or off. Of an agent that sends in real time, what
						comes later is left out instead of delaying the rest of the call; an agent that reads too slowly
						misses what the caller says. The default is 500.</para>
					</option>
					<option name="n">
						<para>Does not answer the channel.</para>
					</option>
					<option name="p">
						<argument name="ms" required="true" />
						<para>How much of what the agent says is gathered before it is played, at first: 0 to 1000 ms. It
						grows where that was too little. The default is 60.</para>
					</option>
					<option name="q">
						<para>Publishes no events.</para>
					</option>
					<option name="t">
						<argument name="ms" required="true" />
						<para>How long each address is tried, 10 to 60000 ms. The default is 2000.</para>
					</option>
					<option name="u">
						<argument name="uuid" required="true" />
						<para>The call's id, as the agent gets it. The default is a new one.</para>
					</option>
				</optionlist>
			</parameter>
		</syntax>
		<description>
			<para>Carries the call's audio to an agent and back until one of them hangs up. Answers the channel first,
			unless told otherwise.</para>
			<para>The agent's audio may come as it likes, ahead of time or unevenly: the caller gets a frame every 20 ms.
			What the agent has sent before it hangs up is played to its end. When the caller speaks while the agent is
			heard, what waits is dropped, and what the agent goes on sending is not heard until it pauses for
			200 ms.</para>
			<para>Keys go both ways, apart from the audio.</para>
			<para>Afterwards these variables say what happened:</para>
			<variablelist>
				<variable name="TALKPATHSTATUS">
					<para>How it ended. The dialplan goes on after all but HANGUP.</para>
					<value name="AGENT">The agent hung up.</value>
					<value name="HANGUP">The caller hung up; the extension h can read it.</value>
					<value name="KEY">The caller pressed a key of option k.</value>
					<value name="LOST">The connection to the agent broke.</value>
					<value name="PROTOCOL">The agent sent what is no AudioSocket.</value>
					<value name="IDLE">The agent sent nothing for as long as option i says.</value>
					<value name="REFUSED">Nobody listens where the agent should be.</value>
					<value name="TIMEOUT">Nobody answered there within the time of option t.</value>
					<value name="UNREACHABLE">There is no such host, or no way to it.</value>
					<value name="ERROR">The arguments are wrong, or something failed here; the log says what.</value>
				</variable>
				<variable name="TALKPATH_ID"><para>The call's id.</para></variable>
				<variable name="TALKPATH_AGENT"><para>Which of the agents took the call.</para></variable>
				<variable name="TALKPATH_KEY"><para>The key that ended it.</para></variable>
				<variable name="TALKPATH_SECONDS"><para>How long it lasted.</para></variable>
				<variable name="TALKPATH_INTERRUPTIONS"><para>How often the caller interrupted the agent.</para></variable>
				<variable name="TALKPATH_CALLER_MS"><para>For how long the caller spoke.</para></variable>
				<variable name="TALKPATH_AGENT_MS"><para>For how long the agent was heard.</para></variable>
				<variable name="TALKPATH_CALLER_LEVEL"><para>How loud the caller was while he spoke, in dBFS.</para></variable>
				<variable name="TALKPATH_AGENT_LEVEL"><para>How loud the agent was while it was heard, in dBFS.</para></variable>
				<variable name="TALKPATH_FRAMES_IN"><para>How many frames came from the caller.</para></variable>
				<variable name="TALKPATH_FRAMES_OUT"><para>How many frames went to the caller.</para></variable>
				<variable name="TALKPATH_FRAMES_LOST">
					<para>How many frames were lost on this side: not sent to the caller in time, or not taken by the
					agent.</para>
				</variable>
				<variable name="TALKPATH_UNDERRUNS"><para>How often the agent was late in the middle of an utterance.</para></variable>
				<variable name="TALKPATH_LATE_MS"><para>How much of the agent's audio was left out as too late.</para></variable>
				<variable name="TALKPATH_SKIPPED_MS"><para>How much of its silence was left out to catch up.</para></variable>
			</variablelist>
			<para>While it runs, user events tell what happens, over AMI (UserEvent) and ARI (ChannelUserevent):
			TalkPathConnected (Id, Agent, Codec), TalkPathSpeechStarted and TalkPathSpeechStopped (Id, Position: ms since
			the caller was first heard), TalkPathAgentStarted (Id, Utterance), TalkPathInterrupted (Id, Utterance, Played
			and Discarded: ms of what the agent was saying), TalkPathKey (Id, Key, From: caller or agent), and TalkPathEnded
			(Id, Status, and what the variables say).</para>
			<example title="An agent in wideband, and a person if there is none">
			same => n,TalkPath(127.0.0.1:8090,c(slin16)k(0))
			same => n,GotoIf($["${TALKPATHSTATUS}" = "AGENT"]?done)
			same => n,Dial(PJSIP/reception)
			same => n(done),Hangup()
			</example>
		</description>
		<see-also>
			<ref type="application">AudioSocket</ref>
		</see-also>
	</application>
 ***/

#include "asterisk.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "asterisk/channel.h"
#include "asterisk/format_cache.h"
#include "asterisk/json.h"
#include "asterisk/module.h"
#include "asterisk/netsock2.h"
#include "asterisk/pbx.h"
#include "asterisk/stasis.h"
#include "asterisk/stasis_channels.h"

#include "app_talkpath/call.h"
#include "app_talkpath/options.h"

static const char app[] = "TalkPath";

/* How long a key is held towards the caller. */
#define KEY_MS 100

/* Room for a level in dBFS as a text. */
#define LEVEL_BYTES 16

static const char *const statuses[] = {
	[CALL_RUNS] = "ERROR",
	[CALL_AGENT] = "AGENT",
	[CALL_CALLER] = "HANGUP",
	[CALL_KEY] = "KEY",
	[CALL_LOST] = "LOST",
	[CALL_PROTOCOL] = "PROTOCOL",
	[CALL_IDLE] = "IDLE",
	[CALL_REFUSED] = "REFUSED",
	[CALL_TIMEOUT] = "TIMEOUT",
	[CALL_UNREACHABLE] = "UNREACHABLE",
	[CALL_FAILED] = "ERROR",
};

/* The agents that are left to try, and the addresses of the one that is tried. */
struct candidates {
	char *rest;
	const char *agent;
	struct ast_sockaddr *addresses;
	int count;
	int next;
};

/* One run of the application. */
struct run {
	struct ast_channel *chan;
	struct options options;
	struct call call;
	struct candidates candidates;
	struct ast_format *format;
	int timer;
	uint64_t armed_us;
	/* The key that is held towards the caller, and until when. */
	char held;
	uint64_t held_until_us;
	char ended_by;
	bool is_hung_up;
};

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;
}

static void log_library(const char *what)
{
	char text[256] = "";
	size_t needed;

	talkpath_last_error(text, sizeof(text), &needed);
	ast_log(LOG_ERROR, "TalkPath: %s: %s\n", what, text);
}

/* Publishes a user event of the channel; `blob` is taken. */
static void publish(struct run *run, struct ast_json *blob)
{
	if (!blob) {
		return;
	}
	ast_channel_lock(run->chan);
	ast_multi_object_blob_single_channel_publish(run->chan, ast_multi_user_event_type(), blob);
	ast_channel_unlock(run->chan);
	ast_json_unref(blob);
}

static void on_news(void *user, const struct call_news *news)
{
	struct run *run = user;
	const char *id = run->options.call.id;
	char key[2] = { news->digit, '\0' };
	ast_json_int_t position_ms = (ast_json_int_t) (news->position_us / 1000);

	if (!run->options.tells) {
		return;
	}
	switch (news->kind) {
	case CALL_CONNECTED:
		publish(run, ast_json_pack("{s: s, s: s, s: s, s: s}", "eventname", "TalkPathConnected", "Id", id,
			"Agent", run->candidates.agent, "Codec", options_codec(run->options.call.agent_hz)));
		break;
	case CALL_SPEECH_STARTED:
		publish(run, ast_json_pack("{s: s, s: s, s: I}", "eventname", "TalkPathSpeechStarted", "Id", id,
			"Position", position_ms));
		break;
	case CALL_SPEECH_STOPPED:
		publish(run, ast_json_pack("{s: s, s: s, s: I}", "eventname", "TalkPathSpeechStopped", "Id", id,
			"Position", position_ms));
		break;
	case CALL_AGENT_STARTED:
		publish(run, ast_json_pack("{s: s, s: s, s: i}", "eventname", "TalkPathAgentStarted", "Id", id,
			"Utterance", (int) news->utterance));
		break;
	case CALL_INTERRUPTED:
		publish(run, ast_json_pack("{s: s, s: s, s: i, s: I, s: I}", "eventname", "TalkPathInterrupted", "Id", id,
			"Utterance", (int) news->utterance, "Played", (ast_json_int_t) (news->played_us / 1000),
			"Discarded", (ast_json_int_t) (news->discarded_us / 1000)));
		break;
	case CALL_KEY_RECEIVED:
	case CALL_KEY_SENT:
		publish(run, ast_json_pack("{s: s, s: s, s: s, s: s}", "eventname", "TalkPathKey", "Id", id, "Key", key,
			"From", news->kind == CALL_KEY_RECEIVED ? "caller" : "agent"));
		break;
	}
}

static void on_play(void *user, const int16_t *pcm, size_t samples)
{
	struct run *run = user;
	struct ast_frame frame = {
		.frametype = AST_FRAME_VOICE,
		.subclass.format = run->format,
		.src = app,
		.data.ptr = (void *) pcm,
		.datalen = (int) (samples * sizeof(*pcm)),
		.samples = (int) samples,
	};

	if (ast_write(run->chan, &frame)) {
		run->is_hung_up = true;
	}
}

static void release_key(struct run *run)
{
	if (run->held) {
		ast_senddigit_end(run->chan, run->held, KEY_MS);
		run->held = '\0';
	}
}

static void on_press(void *user, char digit)
{
	struct run *run = user;

	release_key(run);
	ast_senddigit_begin(run->chan, digit);
	run->held = digit;
	run->held_until_us = now_us() + KEY_MS * 1000;
}

/* Looks an agent up; a name may take its time, and the channel is kept alive meanwhile. */
static int resolve(struct run *run, const char *agent, struct ast_sockaddr **addresses)
{
	struct ast_sockaddr numeric;
	int count;

	if (ast_sockaddr_parse(&numeric, agent, PARSE_PORT_REQUIRE)) {
		*addresses = ast_malloc(sizeof(numeric));
		if (!*addresses) {
			return 0;
		}
		**addresses = numeric;
		return 1;
	}
	ast_autoservice_start(run->chan);
	count = ast_sockaddr_resolve(addresses, agent, PARSE_PORT_REQUIRE, AST_AF_UNSPEC);
	ast_autoservice_stop(run->chan);
	return count < 0 ? 0 : count;
}

/* Begins to connect to the next address there is; false if none is left. */
static bool connect_next(struct run *run)
{
	struct candidates *candidates = &run->candidates;
	struct ast_sockaddr *address;

	while (candidates->next == candidates->count) {
		ast_free(candidates->addresses);
		candidates->addresses = NULL;
		candidates->next = 0;
		candidates->count = 0;
		candidates->agent = strsep(&candidates->rest, "&");
		if (!candidates->agent) {
			return false;
		}
		candidates->count = resolve(run, candidates->agent, &candidates->addresses);
		if (!candidates->count) {
			ast_log(LOG_WARNING, "TalkPath: no address of '%s'\n", candidates->agent);
		}
	}
	address = &candidates->addresses[candidates->next++];
	ast_debug(1, "%s: connecting to %s\n", ast_channel_name(run->chan), ast_sockaddr_stringify(address));
	call_connect(&run->call, (const struct sockaddr *) &address->ss, address->len, now_us());
	return true;
}

/* The call has no connection: tries the next address, or ends it. */
static void go_on_connecting(struct run *run)
{
	int error;

	while (call_wants_address(&run->call)) {
		error = run->call.link.error;
		if (error) {
			ast_log(LOG_WARNING, "TalkPath: %s: %s\n", run->candidates.agent, strerror(error));
		}
		if (connect_next(run)) {
			continue;
		}
		call_finish(&run->call, error == ECONNREFUSED ? CALL_REFUSED : error == ETIMEDOUT ? CALL_TIMEOUT : CALL_UNREACHABLE,
			now_us());
	}
}

/* Takes what the channel has to give; it hangs up by having nothing. */
static void read_channel(struct run *run)
{
	struct ast_frame *frame = ast_read(run->chan);
	char digit;

	if (!frame) {
		run->is_hung_up = true;
		return;
	}
	if (frame->frametype == AST_FRAME_VOICE && frame->datalen) {
		call_hear(&run->call, frame->data.ptr, (size_t) frame->datalen / sizeof(int16_t), now_us());
	} else if (frame->frametype == AST_FRAME_DTMF_END) {
		digit = (char) frame->subclass.integer;
		if (strchr(run->options.keys, digit)) {
			run->ended_by = digit;
			call_finish(&run->call, CALL_KEY, now_us());
		} else {
			call_hear_key(&run->call, digit, now_us());
		}
	} else if (frame->frametype == AST_FRAME_CONTROL && frame->subclass.integer == AST_CONTROL_HANGUP) {
		run->is_hung_up = true;
	}
	ast_frfree(frame);
}

/* Waits until the channel has something or the next frame is due, on the same clock as the call; false if it cannot. */
static bool wait_for_work(struct run *run)
{
	struct ast_channel *ready;
	struct itimerspec when = { { 0, 0 }, { 0, 0 } };
	int exception = 0, outfd = -1, ms = 1000;
	uint64_t due_us = run->call.due_us;

	if (run->held && run->held_until_us < due_us) {
		due_us = run->held_until_us;
	}
	if (due_us != run->armed_us) {
		run->armed_us = due_us;
		when.it_value.tv_sec = (time_t) (due_us / 1000000);
		when.it_value.tv_nsec = (long) (due_us % 1000000) * 1000;
		timerfd_settime(run->timer, TFD_TIMER_ABSTIME, &when, NULL);
	}
	ready = ast_waitfor_nandfds(&run->chan, 1, &run->timer, 1, &exception, &outfd, &ms);
	if (ready) {
		read_channel(run);
	}
	return ready || ms >= 0;
}

static void carry(struct run *run)
{
	uint64_t now;

	go_on_connecting(run);
	while (run->call.end == CALL_RUNS) {
		if (!wait_for_work(run)) {
			ast_log(LOG_ERROR, "TalkPath: cannot wait for %s: %s\n", ast_channel_name(run->chan), strerror(errno));
			call_finish(&run->call, CALL_FAILED, now_us());
		}
		now = now_us();
		if (run->is_hung_up) {
			call_finish(&run->call, CALL_CALLER, now);
		}
		if (run->call.end != CALL_RUNS) {
			break;
		}
		if (run->held && now >= run->held_until_us) {
			release_key(run);
		}
		if (now >= run->call.due_us) {
			call_tick(&run->call, now);
			go_on_connecting(run);
		}
	}
	release_key(run);
}

static void set_number(struct ast_channel *chan, const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long) value);
	pbx_builtin_setvar_helper(chan, name, text);
}

static void print_level(char text[LEVEL_BYTES], float dbfs)
{
	snprintf(text, LEVEL_BYTES, "%.1f", (double) dbfs);
}

static void set_level(struct ast_channel *chan, const char *name, float dbfs)
{
	char text[LEVEL_BYTES];

	print_level(text, dbfs);
	pbx_builtin_setvar_helper(chan, name, text);
}

/* Leaves what happened to the dialplan, and tells others. */
static void report(struct run *run)
{
	struct ast_channel *chan = run->chan;
	struct call_summary summary;
	char caller_level[LEVEL_BYTES], agent_level[LEVEL_BYTES];
	char key[2] = { run->ended_by, '\0' };
	uint64_t lost;

	call_summarise(&run->call, &summary, now_us());
	lost = summary.frames_missed + summary.frames_unsent;
	pbx_builtin_setvar_helper(chan, "TALKPATHSTATUS", statuses[summary.end]);
	pbx_builtin_setvar_helper(chan, "TALKPATH_ID", run->options.call.id);
	pbx_builtin_setvar_helper(chan, "TALKPATH_AGENT", S_OR(run->candidates.agent, ""));
	pbx_builtin_setvar_helper(chan, "TALKPATH_KEY", key);
	set_number(chan, "TALKPATH_SECONDS", summary.duration_us / 1000000);
	set_number(chan, "TALKPATH_INTERRUPTIONS", summary.interruptions);
	set_number(chan, "TALKPATH_CALLER_MS", summary.caller_speech_us / 1000);
	set_number(chan, "TALKPATH_AGENT_MS", summary.agent_speech_us / 1000);
	set_level(chan, "TALKPATH_CALLER_LEVEL", summary.caller_level_dbfs);
	set_level(chan, "TALKPATH_AGENT_LEVEL", summary.agent_level_dbfs);
	set_number(chan, "TALKPATH_FRAMES_IN", summary.frames_in);
	set_number(chan, "TALKPATH_FRAMES_OUT", summary.frames_out);
	set_number(chan, "TALKPATH_FRAMES_LOST", lost);
	set_number(chan, "TALKPATH_UNDERRUNS", summary.underruns);
	set_number(chan, "TALKPATH_LATE_MS", summary.late_us / 1000);
	set_number(chan, "TALKPATH_SKIPPED_MS", summary.skipped_us / 1000);
	if (run->options.tells) {
		print_level(caller_level, summary.caller_level_dbfs);
		print_level(agent_level, summary.agent_level_dbfs);
		publish(run, ast_json_pack("{s: s, s: s, s: s, s: I, s: i, s: I, s: I, s: s, s: s, s: I, s: I, s: I, s: i, s: I, s: I}",
			"eventname", "TalkPathEnded",
			"Id", run->options.call.id,
			"Status", statuses[summary.end],
			"Milliseconds", (ast_json_int_t) (summary.duration_us / 1000),
			"Interruptions", (int) summary.interruptions,
			"CallerMs", (ast_json_int_t) (summary.caller_speech_us / 1000),
			"AgentMs", (ast_json_int_t) (summary.agent_speech_us / 1000),
			"CallerLevel", caller_level,
			"AgentLevel", agent_level,
			"FramesIn", (ast_json_int_t) summary.frames_in,
			"FramesOut", (ast_json_int_t) summary.frames_out,
			"FramesLost", (ast_json_int_t) lost,
			"Underruns", (int) summary.underruns,
			"LateMs", (ast_json_int_t) (summary.late_us / 1000),
			"SkippedMs", (ast_json_int_t) (summary.skipped_us / 1000)));
	}
	ast_verb(3, "%s: TalkPath ended with %s after %llu ms, %llu frames out, %llu lost\n", ast_channel_name(chan),
		statuses[summary.end], (unsigned long long) summary.duration_us / 1000,
		(unsigned long long) summary.frames_out, (unsigned long long) lost);
}

/* Has the channel speak and hear signed linear for as long as the call lasts; -1 if the channel is gone. */
static void serve(struct run *run)
{
	struct ast_format *read_format = ao2_bump(ast_channel_readformat(run->chan));
	struct ast_format *write_format = ao2_bump(ast_channel_writeformat(run->chan));
	struct call_hooks hooks = { .play = on_play, .press = on_press, .tell = on_news, .user = run };

	run->format = ast_format_cache_get_slin_by_rate(run->options.call.wire_hz);
	if (ast_set_read_format(run->chan, run->format) || ast_set_write_format(run->chan, run->format)) {
		ast_log(LOG_ERROR, "TalkPath: %s has no way to %s\n", ast_channel_name(run->chan),
			ast_format_get_name(run->format));
		pbx_builtin_setvar_helper(run->chan, "TALKPATHSTATUS", "ERROR");
	} else if (!call_init(&run->call, &run->options.call, &hooks, now_us())) {
		log_library("no session");
		pbx_builtin_setvar_helper(run->chan, "TALKPATHSTATUS", "ERROR");
	} else {
		carry(run);
		report(run);
		call_free(&run->call);
	}
	ast_free(run->candidates.addresses);
	if (read_format && !run->is_hung_up) {
		ast_set_read_format(run->chan, read_format);
	}
	if (write_format && !run->is_hung_up) {
		ast_set_write_format(run->chan, write_format);
	}
	ao2_cleanup(read_format);
	ao2_cleanup(write_format);
}

static int talkpath_exec(struct ast_channel *chan, const char *data)
{
	char *text = ast_strdupa(S_OR(data, ""));
	struct run *run = ast_calloc(1, sizeof(*run));
	struct ast_format *raw = ast_channel_rawreadformat(chan);
	int res = 0;

	pbx_builtin_setvar_helper(chan, "TALKPATHSTATUS", "ERROR");
	if (!run) {
		return 0;
	}
	run->chan = chan;
	run->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (run->timer < 0) {
		ast_log(LOG_ERROR, "TalkPath: no timer: %s\n", strerror(errno));
	} else if (options_parse(&run->options, text, raw ? ast_format_get_sample_rate(raw) : 8000)) {
		run->candidates.rest = run->options.agents;
		if (run->options.answers && ast_channel_state(chan) != AST_STATE_UP && ast_answer(chan)) {
			pbx_builtin_setvar_helper(chan, "TALKPATHSTATUS", "HANGUP");
			run->is_hung_up = true;
		} else {
			serve(run);
		}
	}
	if (run->timer >= 0) {
		close(run->timer);
	}
	res = run->is_hung_up ? -1 : 0;
	ast_free(run);
	return res;
}

static int unload_module(void)
{
	return ast_unregister_application(app);
}

static int load_module(void)
{
	if (talkpath_abi_version() != TALKPATH_ABI_VERSION) {
		ast_log(LOG_ERROR, "app_talkpath was built for version %d of libtalkpath's interface, and this is %u\n",
			TALKPATH_ABI_VERSION, talkpath_abi_version());
		return AST_MODULE_LOAD_DECLINE;
	}
	return ast_register_application_xml(app, talkpath_exec) ? AST_MODULE_LOAD_DECLINE : AST_MODULE_LOAD_SUCCESS;
}

AST_MODULE_INFO_STANDARD_EXTENDED(ASTERISK_GPL_KEY, "Voice agents over AudioSocket, by talkpath");
