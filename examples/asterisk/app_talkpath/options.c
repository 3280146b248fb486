/* SPDX-License-Identifier: GPL-2.0-only */
#include "asterisk.h"

#include <ctype.h>

#include "asterisk/app.h"
#include "asterisk/logger.h"
#include "asterisk/strings.h"
#include "asterisk/uuid.h"

#include "options.h"

enum flags {
	OPT_BARGE_IN = (1 << 0),
	OPT_NO_BARGE_IN = (1 << 1),
	OPT_CODEC = (1 << 2),
	OPT_DETECTOR = (1 << 3),
	OPT_ECHO = (1 << 4),
	OPT_IDLE = (1 << 5),
	OPT_KEYS = (1 << 6),
	OPT_LATE = (1 << 7),
	OPT_NO_ANSWER = (1 << 8),
	OPT_PREBUFFER = (1 << 9),
	OPT_QUIET = (1 << 10),
	OPT_TIMEOUT = (1 << 11),
	OPT_UUID = (1 << 12),
};

enum {
	ARG_BARGE_IN,
	ARG_CODEC,
	ARG_DETECTOR,
	ARG_ECHO,
	ARG_IDLE,
	ARG_KEYS,
	ARG_LATE,
	ARG_PREBUFFER,
	ARG_TIMEOUT,
	ARG_UUID,
	ARGS,
};

AST_APP_OPTIONS(known, {
	AST_APP_OPTION_ARG('b', OPT_BARGE_IN, ARG_BARGE_IN),
	AST_APP_OPTION('B', OPT_NO_BARGE_IN),
	AST_APP_OPTION_ARG('c', OPT_CODEC, ARG_CODEC),
	AST_APP_OPTION_ARG('d', OPT_DETECTOR, ARG_DETECTOR),
	AST_APP_OPTION_ARG('e', OPT_ECHO, ARG_ECHO),
	AST_APP_OPTION_ARG('i', OPT_IDLE, ARG_IDLE),
	AST_APP_OPTION_ARG('k', OPT_KEYS, ARG_KEYS),
	AST_APP_OPTION_ARG('l', OPT_LATE, ARG_LATE),
	AST_APP_OPTION('n', OPT_NO_ANSWER),
	AST_APP_OPTION_ARG('p', OPT_PREBUFFER, ARG_PREBUFFER),
	AST_APP_OPTION('q', OPT_QUIET),
	AST_APP_OPTION_ARG('t', OPT_TIMEOUT, ARG_TIMEOUT),
	AST_APP_OPTION_ARG('u', OPT_UUID, ARG_UUID),
});

/* The rates that AudioSocket has a kind for, and Asterisk a format. */
static const struct {
	const char *name;
	unsigned int hz;
} codecs[] = {
	{ "slin", 8000 },
	{ "slin12", 12000 },
	{ "slin16", 16000 },
	{ "slin24", 24000 },
	{ "slin32", 32000 },
	{ "slin44", 44100 },
	{ "slin48", 48000 },
	{ "slin96", 96000 },
	{ "slin192", 192000 },
};

const char *options_codec(unsigned int rate_hz)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(codecs); i++) {
		if (codecs[i].hz == rate_hz) {
			return codecs[i].name;
		}
	}
	return "slin";
}

static bool parse_number(const char *what, const char *text, unsigned int min, unsigned int max, unsigned int *number)
{
	char *end;
	unsigned long got;

	if (ast_strlen_zero(text) || !isdigit((unsigned char) *text)) {
		ast_log(LOG_ERROR, "TalkPath: %s of '%s', wanted a number\n", what, S_OR(text, ""));
		return false;
	}
	got = strtoul(text, &end, 10);
	if (*end || got < min || got > max) {
		ast_log(LOG_ERROR, "TalkPath: %s of '%s', wanted %u to %u\n", what, text, min, max);
		return false;
	}
	*number = (unsigned int) got;
	return true;
}

static bool parse_codec(struct call_options *call, const char *text, unsigned int channel_hz)
{
	size_t i;

	call->agent_hz = channel_hz >= 16000 ? 16000 : 8000;
	if (text) {
		for (i = 0; i < ARRAY_LEN(codecs) && strcasecmp(text, codecs[i].name); i++) {
		}
		if (i == ARRAY_LEN(codecs)) {
			ast_log(LOG_ERROR, "TalkPath: codec '%s', wanted slin, slin12, slin16, slin24, slin32, slin44, slin48, slin96 or"
				" slin192\n", text);
			return false;
		}
		call->agent_hz = codecs[i].hz;
	}
	/* The channel is never asked for more than it has, nor for more than the agent wants. */
	call->wire_hz = 8000;
	for (i = 0; i < ARRAY_LEN(codecs); i++) {
		if (codecs[i].hz <= channel_hz && codecs[i].hz <= call->agent_hz) {
			call->wire_hz = codecs[i].hz;
		}
	}
	return true;
}

static bool parse_detector(struct call_options *call, char *text)
{
	char *name = strsep(&text, ":");

	if (!strcasecmp(name, "phone")) {
		call->detector = TALKPATH_VAD_PHONE;
	} else if (!strcasecmp(name, "silero") && talkpath_has_feature("silero")) {
		call->detector = TALKPATH_VAD_SILERO;
	} else if (!strcasecmp(name, "none")) {
		call->detector = TALKPATH_VAD_NONE;
	} else {
		ast_log(LOG_ERROR, "TalkPath: detector '%s', wanted phone, %snone\n", name,
			talkpath_has_feature("silero") ? "silero or " : "or ");
		return false;
	}
	if (text && (sscanf(text, "%30f", &call->sensitivity) != 1
		|| !(call->sensitivity >= 0.0f && call->sensitivity <= 1.0f))) {
		ast_log(LOG_ERROR, "TalkPath: sensitivity of '%s', wanted 0 to 1\n", text);
		return false;
	}
	return true;
}

static bool parse_echo(struct call_options *call, const char *text)
{
	if (!strcasecmp(text, "auto")) {
		call->echo_canceller = TALKPATH_ECHO_AUTO;
	} else if (!strcasecmp(text, "on")) {
		call->echo_canceller = TALKPATH_ECHO_ON;
	} else if (!strcasecmp(text, "off")) {
		call->echo_canceller = TALKPATH_ECHO_OFF;
	} else {
		ast_log(LOG_ERROR, "TalkPath: echo canceller '%s', wanted auto, on or off\n", text);
		return false;
	}
	return true;
}

static bool parse_keys(char *keys, const char *text)
{
	size_t i;

	for (i = 0; text[i] && i < OPTIONS_KEYS - 1 && strchr("0123456789*#ABCD", toupper((unsigned char) text[i])); i++) {
		keys[i] = (char) toupper((unsigned char) text[i]);
	}
	if (text[i] || !i) {
		ast_log(LOG_ERROR, "TalkPath: keys '%s', wanted some of 0 to 9, *, #, A to D\n", text);
		return false;
	}
	keys[i] = '\0';
	return true;
}

static bool parse_id(struct call_options *call, const char *text)
{
	uint8_t message[32];
	size_t len;

	if (!text) {
		ast_uuid_generate_str(call->id, sizeof(call->id));
		return true;
	}
	ast_copy_string(call->id, text, sizeof(call->id));
	if (talkpath_audiosocket_encode_id(text, message, sizeof(message), &len) != TALKPATH_STATUS_OK) {
		ast_log(LOG_ERROR, "TalkPath: id '%s', wanted a UUID: ${UUID()} makes one, ${UNIQUEID} is none\n", text);
		return false;
	}
	return true;
}

bool options_parse(struct options *options, char *text, unsigned int channel_hz)
{
	AST_DECLARE_APP_ARGS(args,
		AST_APP_ARG(agents);
		AST_APP_ARG(options);
	);
	struct call_options *call = &options->call;
	struct ast_flags flags = { 0 };
	char *values[ARGS] = { NULL, };
	unsigned int number;

	memset(options, 0, sizeof(*options));
	call->barge_in_ms = -1;
	call->prebuffer_ms = -1;
	call->late_ms = 500;
	call->connect_ms = 2000;
	call->detector = TALKPATH_VAD_PHONE;
	call->sensitivity = 0.5f;
	call->echo_canceller = TALKPATH_ECHO_AUTO;

	AST_STANDARD_APP_ARGS(args, text);
	if (ast_strlen_zero(args.agents)) {
		ast_log(LOG_ERROR, "TalkPath: no agent given, wanted host:port\n");
		return false;
	}
	options->agents = args.agents;
	if (args.options && ast_app_parse_options(known, &flags, values, args.options)) {
		ast_log(LOG_ERROR, "TalkPath: options '%s' are not understood\n", args.options);
		return false;
	}
	options->answers = !ast_test_flag(&flags, OPT_NO_ANSWER);
	options->tells = !ast_test_flag(&flags, OPT_QUIET);
	call->barge_in = !ast_test_flag(&flags, OPT_NO_BARGE_IN);
	if (ast_test_flag(&flags, OPT_BARGE_IN)) {
		if (!parse_number("voice that interrupts (b)", values[ARG_BARGE_IN], 20, 5000, &number)) {
			return false;
		}
		call->barge_in_ms = (int32_t) number;
	}
	if (ast_test_flag(&flags, OPT_IDLE)) {
		if (!parse_number("idle time-out (i)", values[ARG_IDLE], 1, 86400, &number)) {
			return false;
		}
		call->idle_ms = number * 1000;
	}
	if (ast_test_flag(&flags, OPT_PREBUFFER)) {
		if (!parse_number("prebuffer (p)", values[ARG_PREBUFFER], 0, 1000, &number)) {
			return false;
		}
		call->prebuffer_ms = (int32_t) number;
	}
	if (ast_test_flag(&flags, OPT_LATE)) {
		if (values[ARG_LATE] && !strcasecmp(values[ARG_LATE], "off")) {
			call->late_ms = UINT32_MAX;
		} else if (parse_number("bound on late audio (l)", values[ARG_LATE], 100, 60000, &number)) {
			call->late_ms = number;
		} else {
			return false;
		}
	}
	if (ast_test_flag(&flags, OPT_TIMEOUT)
		&& !parse_number("connect time-out (t)", values[ARG_TIMEOUT], 10, 60000, &call->connect_ms)) {
		return false;
	}
	return parse_codec(call, ast_test_flag(&flags, OPT_CODEC) ? S_OR(values[ARG_CODEC], "") : NULL, channel_hz)
		&& (!ast_test_flag(&flags, OPT_DETECTOR) || parse_detector(call, values[ARG_DETECTOR] ? values[ARG_DETECTOR] : (char[]) { "" }))
		&& (!ast_test_flag(&flags, OPT_ECHO) || parse_echo(call, S_OR(values[ARG_ECHO], "")))
		&& (!ast_test_flag(&flags, OPT_KEYS) || parse_keys(options->keys, S_OR(values[ARG_KEYS], "")))
		&& parse_id(call, ast_test_flag(&flags, OPT_UUID) ? S_OR(values[ARG_UUID], "") : NULL);
}
