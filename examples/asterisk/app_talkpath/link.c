/* SPDX-License-Identifier: GPL-2.0-only */
#include "link.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/sockios.h>

static void shut(struct link *link, enum link_state state, int error)
{
	if (link->fd >= 0) {
		close(link->fd);
		link->fd = -1;
	}
	link->state = state;
	link->error = error;
	link->out_len = 0;
}

bool link_init(struct link *link)
{
	memset(link, 0, sizeof(*link));
	link->fd = -1;
	return talkpath_audiosocket_decoder_new(true, &link->decoder) == TALKPATH_STATUS_OK;
}

static void opened(struct link *link)
{
	int yes = 1;

	/* Asterisk and others end a call whose message comes in pieces; and 20 ms are not worth waiting for more. */
	setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	link->state = LINK_OPEN;
	link->error = 0;
}

void link_connect(struct link *link, const struct sockaddr *address, socklen_t len)
{
	link->fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (link->fd < 0) {
		shut(link, LINK_CLOSED, errno);
	} else if (!connect(link->fd, address, len)) {
		opened(link);
	} else if (errno == EINPROGRESS) {
		link->state = LINK_CONNECTING;
	} else {
		shut(link, LINK_CLOSED, errno);
	}
}

void link_check(struct link *link)
{
	struct pollfd wanted = { .fd = link->fd, .events = POLLOUT };
	socklen_t len = sizeof(link->error);
	int error = 0;

	if (link->state != LINK_CONNECTING || poll(&wanted, 1, 0) <= 0) {
		return;
	}
	if (getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &error, &len)) {
		error = errno;
	}
	if (error) {
		shut(link, LINK_CLOSED, error);
	} else {
		opened(link);
	}
}

/* Hands bytes to the kernel and returns how many it took, or -1 if it takes no more. */
static ssize_t push(struct link *link, const uint8_t *bytes, size_t len)
{
	ssize_t n = send(link->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n >= 0) {
		return n;
	}
	if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR || errno == ENOBUFS) {
		return 0;
	}
	/* What the agent sent before is still to be heard out. */
	link->error = errno;
	link->is_at_end = true;
	return -1;
}

bool link_send(struct link *link, const uint8_t *message, size_t len, size_t limit_bytes)
{
	ssize_t n = 0;
	int waiting = 0;

	/* To send to an agent that has closed would make a proper end look like a broken connection. */
	link_read(link);
	if (link->state != LINK_OPEN || link->is_at_end) {
		return false;
	}
	if (link->out_len) {
		n = push(link, link->out, link->out_len);
		if (n < 0) {
			return false;
		}
		link->out_len -= (size_t) n;
		memmove(link->out, link->out + n, link->out_len);
	}
	if (ioctl(link->fd, SIOCOUTQ, &waiting)) {
		waiting = 0;
	}
	if (link->out_len + (size_t) waiting > limit_bytes || link->out_len + len > sizeof(link->out)) {
		return false;
	}
	n = 0;
	if (!link->out_len) {
		n = push(link, message, len);
		if (n < 0) {
			return false;
		}
	}
	memcpy(link->out + link->out_len, message + n, len - (size_t) n);
	link->out_len += len - (size_t) n;
	return true;
}

void link_read(struct link *link)
{
	ssize_t n;

	if (link->state != LINK_OPEN || link->is_at_end) {
		return;
	}
	if (link->in_start) {
		memmove(link->in, link->in + link->in_start, link->in_end - link->in_start);
		link->in_end -= link->in_start;
		link->in_start = 0;
	}
	while (link->in_end < sizeof(link->in) && !link->is_at_end) {
		n = recv(link->fd, link->in + link->in_end, sizeof(link->in) - link->in_end, MSG_DONTWAIT);
		if (n > 0) {
			link->in_end += (size_t) n;
		} else if (!n) {
			link->is_at_end = true;
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			return;
		} else if (errno != EINTR) {
			link->error = errno;
			link->is_at_end = true;
		}
	}
}

bool link_next(struct link *link, TalkpathAudioSocketMessage *message)
{
	bool is_between_messages = false;
	TalkpathStatus status;
	uint64_t skipped;
	size_t taken;

	if (link->state != LINK_OPEN) {
		return false;
	}
	status = talkpath_audiosocket_decoder_poll(link->decoder, link->in + link->in_start,
		link->in_end - link->in_start, &taken, message);
	if (status == TALKPATH_STATUS_OK) {
		link->in_start += taken;
		return true;
	}
	link->in_start = link->in_end;
	if (status != TALKPATH_STATUS_EMPTY) {
		shut(link, LINK_BROKEN, 0);
	} else if (link->is_at_end) {
		talkpath_audiosocket_decoder_state(link->decoder, &skipped, &is_between_messages);
		shut(link, link->error || !is_between_messages ? LINK_LOST : LINK_ENDED, link->error);
	}
	return false;
}

size_t link_pending(const struct link *link)
{
	int waiting = 0;

	if (link->state != LINK_OPEN) {
		return 0;
	}
	/* There is more in the kernel only where the buffer had no room for it. */
	if (link->is_at_end || link->in_end < sizeof(link->in) || ioctl(link->fd, SIOCINQ, &waiting)) {
		waiting = 0;
	}
	return link->in_end - link->in_start + (size_t) waiting;
}

void link_give_up(struct link *link, int error)
{
	shut(link, LINK_CLOSED, error);
}

void link_close(struct link *link)
{
	uint8_t message[8], unread[4096];
	size_t len;

	if (link->state == LINK_OPEN
		&& talkpath_audiosocket_encode_hangup(message, sizeof(message), &len) == TALKPATH_STATUS_OK
		&& link_send(link, message, len, SIZE_MAX)) {
		/* Closed with anything unread, the kernel would break the connection instead of ending it. */
		while (recv(link->fd, unread, sizeof(unread), MSG_DONTWAIT) > 0) {
		}
	}
	shut(link, link->state == LINK_OPEN || link->state == LINK_CONNECTING ? LINK_CLOSED : link->state, link->error);
}

void link_free(struct link *link)
{
	link_close(link);
	talkpath_audiosocket_decoder_free(link->decoder);
	link->decoder = NULL;
}
