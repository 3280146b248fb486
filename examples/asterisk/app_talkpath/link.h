/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The connection to the agent: AudioSocket over TCP, never waiting for it.
 *
 * Whole messages go out in one write each, and what the kernel does not take at once is kept back for the next time;
 * what has come in is decoded from a buffer of its own. It knows nothing of audio, of calls and of Asterisk.
 */
#ifndef APP_TALKPATH_LINK_H
#define APP_TALKPATH_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <talkpath.h>

/* The longest message that is sent: 20 ms of 192 kHz. */
#define LINK_MESSAGE_BYTES 7683

enum link_state {
	LINK_CLOSED,
	LINK_CONNECTING,
	LINK_OPEN,
	LINK_ENDED,  /* the agent has closed it, and all that came is read */
	LINK_LOST,   /* it broke, or the agent closed it in the middle of a message */
	LINK_BROKEN, /* the agent sent what is no AudioSocket */
};

struct link {
	int fd;
	enum link_state state;
	/* Why it could not be opened, or was lost: an errno. */
	int error;
	TalkpathAudioSocketDecoder *decoder;
	bool is_at_end;
	size_t in_start, in_end;
	size_t out_len;
	uint8_t in[16384];
	uint8_t out[LINK_MESSAGE_BYTES + 64];
};

/* Makes a link that is closed; false without memory. */
bool link_init(struct link *link);

/* Begins to connect to an address, from a closed link; it is connecting or closed afterwards. */
void link_connect(struct link *link, const struct sockaddr *address, socklen_t len);

/* Looks whether a connecting link is open by now; it is closed again where that failed. */
void link_check(struct link *link);

/*
 * Sends a whole message, or all of it later.
 *
 * False if it was not sent at all: the link is not open, or more than `limit_bytes` wait for the network already.
 */
bool link_send(struct link *link, const uint8_t *message, size_t len, size_t limit_bytes);

/* Reads what has come in, as far as there is room; the link may end or be lost by it. */
void link_read(struct link *link);

/* Takes the next message of what was read; false if there is none. `message` holds until the next call of the link. */
bool link_next(struct link *link, TalkpathAudioSocketMessage *message);

/* How many bytes have come in that no message was taken of yet. */
size_t link_pending(const struct link *link);

/* Closes it without a word, because of an errno. */
void link_give_up(struct link *link, int error);

/* Closes it, with the message that ends a call where it still is open. */
void link_close(struct link *link);

/* Closes it and frees what it holds. */
void link_free(struct link *link);

#endif
