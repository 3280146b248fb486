/* SPDX-License-Identifier: GPL-2.0-only */
/* What TalkPath() is told in the dialplan: its arguments, checked. */
#ifndef APP_TALKPATH_OPTIONS_H
#define APP_TALKPATH_OPTIONS_H

#include <stdbool.h>

#include "call.h"

#define OPTIONS_KEYS 17

struct options {
	/* host:port, and more of them behind &. */
	char *agents;
	struct call_options call;
	/* Which of the caller's keys end the application. */
	char keys[OPTIONS_KEYS];
	bool answers;
	bool tells;
};

/*
 * Reads the arguments of the application for a channel that has audio of `channel_hz`; `text` is cut up.
 *
 * False if one of them is wrong, which is logged.
 */
bool options_parse(struct options *options, char *text, unsigned int channel_hz);

/* The name that Asterisk has for signed linear samples of a rate. */
const char *options_codec(unsigned int rate_hz);

#endif
