/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The inner half of app_talkpath without Asterisk: real sockets, a clock of its own, under AddressSanitizer and valgrind.
 *
 * Takes a file of recorded speech, headerless at 8 kHz, for the caller who interrupts.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app_talkpath/call.h"

#define FRAME_US 20000ull
#define HZ 8000
#define SAMPLES 160

#define CHECK(condition)                                                                                               \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                \
			exit(1);                                                                                       \
		}                                                                                                      \
	} while (0)

/* What the caller's side of a call has seen. */
struct seen {
	size_t frames;
	size_t loud_frames;
	size_t loud_samples;
	size_t keys;
	size_t connected;
	size_t interrupted;
	uint64_t played_us;
	uint64_t discarded_us;
};

/* A call, the agent's end of its connection, and the time. */
struct scene {
	struct call call;
	struct seen seen;
	int server;
	int agent;
	uint64_t now_us;
};

static void on_play(void *user, const int16_t *pcm, size_t samples)
{
	struct seen *seen = user;
	size_t i, loud = 0;

	CHECK(samples == SAMPLES);
	for (i = 0; i < samples; i++) {
		loud += pcm[i] != 0;
	}
	seen->frames++;
	seen->loud_frames += loud > samples / 2;
	seen->loud_samples += loud;
}

static void on_press(void *user, char digit)
{
	CHECK(digit == '7');
	((struct seen *) user)->keys++;
}

static void on_tell(void *user, const struct call_news *news)
{
	struct seen *seen = user;

	seen->connected += news->kind == CALL_CONNECTED;
	if (news->kind == CALL_INTERRUPTED) {
		seen->interrupted++;
		seen->played_us += news->played_us;
		seen->discarded_us += news->discarded_us;
	}
}

static struct call_options defaults(void)
{
	struct call_options options = {
		.wire_hz = HZ,
		.agent_hz = HZ,
		.late_ms = 500,
		.connect_ms = 2000,
		.barge_in_ms = -1,
		.prebuffer_ms = -1,
		.barge_in = true,
		.detector = TALKPATH_VAD_PHONE,
		.sensitivity = 0.5f,
		.echo_canceller = TALKPATH_ECHO_AUTO,
		.id = "0f8fad5b-d9cb-469f-a165-70867728950e",
	};
	return options;
}

/* Waits until there is something to read at the agent's end or, with `writable`, room to write. */
static void wait_for_agent(const struct scene *scene, bool writable)
{
	struct pollfd wanted = { .fd = scene->agent, .events = writable ? POLLOUT : POLLIN };

	CHECK(poll(&wanted, 1, 5000) == 1);
}

static void tick(struct scene *scene)
{
	scene->now_us += FRAME_US;
	call_tick(&scene->call, scene->now_us);
}

/* Begins a call, and takes its connection as the agent. */
static void begin(struct scene *scene, const struct call_options *options)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct call_hooks hooks = { .play = on_play, .press = on_press, .tell = on_tell, .user = &scene->seen };
	socklen_t len = sizeof(address);
	uint8_t id[19];

	memset(scene, 0, sizeof(*scene));
	scene->now_us = 1000000;
	scene->server = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(!bind(scene->server, (struct sockaddr *) &address, sizeof(address)) && !listen(scene->server, 1));
	CHECK(!getsockname(scene->server, (struct sockaddr *) &address, &len));
	CHECK(call_init(&scene->call, options, &hooks, scene->now_us));
	CHECK(call_wants_address(&scene->call));
	call_connect(&scene->call, (struct sockaddr *) &address, sizeof(address), scene->now_us);
	scene->agent = accept(scene->server, NULL, NULL);
	CHECK(scene->agent >= 0);
	while (!scene->seen.connected) {
		tick(scene);
	}
	wait_for_agent(scene, false);
	CHECK(recv(scene->agent, id, sizeof(id), MSG_WAITALL) == sizeof(id) && id[0] == TALKPATH_AUDIOSOCKET_ID);
}

static void end(struct scene *scene, enum call_end wanted)
{
	struct call_summary summary;

	CHECK(scene->call.end == wanted);
	call_summarise(&scene->call, &summary, scene->now_us);
	CHECK(summary.end == wanted && summary.frames_missed == 0);
	CHECK(summary.frames_out == scene->seen.frames);
	call_free(&scene->call);
	close(scene->server);
	if (scene->agent >= 0) {
		close(scene->agent);
	}
}

static void agent_sends(const struct scene *scene, const void *bytes, size_t len)
{
	CHECK(send(scene->agent, bytes, len, MSG_NOSIGNAL) == (ssize_t) len);
}

/* Has the agent send 20 ms: of a square wave, or of silence. */
static void agent_says(const struct scene *scene, int16_t loudness)
{
	uint8_t message[3 + 2 * SAMPLES];
	int16_t pcm[SAMPLES];
	size_t i, len;

	for (i = 0; i < SAMPLES; i++) {
		pcm[i] = i / 10 % 2 ? loudness : (int16_t) -loudness;
	}
	CHECK(talkpath_audiosocket_encode_audio(HZ, pcm, SAMPLES, message, sizeof(message), &len) == TALKPATH_STATUS_OK);
	agent_sends(scene, message, len);
}

/* Lets frames pass until the call is over; it has to be, before `limit` of them. */
static void run_to_end(struct scene *scene, size_t limit)
{
	while (scene->call.end == CALL_RUNS && limit--) {
		tick(scene);
	}
	CHECK(scene->call.end != CALL_RUNS);
}

static void the_agent_hears_the_caller_and_presses_a_key(void)
{
	struct call_options options = defaults();
	int16_t pcm[SAMPLES] = { 0 };
	uint8_t heard[3 + 2 * SAMPLES];
	struct scene scene;
	size_t i;

	begin(&scene, &options);
	call_hear_key(&scene.call, '5', scene.now_us);
	wait_for_agent(&scene, false);
	CHECK(recv(scene.agent, heard, 4, MSG_WAITALL) == 4 && !memcmp(heard, "\x03\x00\x01" "5", 4));
	agent_sends(&scene, "\x03\x00\x01" "7", 4);
	for (i = 0; i < 50; i++) {
		pcm[0] = (int16_t) i;
		call_hear(&scene.call, pcm, SAMPLES, scene.now_us);
		CHECK(recv(scene.agent, heard, sizeof(heard), MSG_WAITALL) == sizeof(heard));
		CHECK(heard[0] == 0x10 && heard[3] == i);
		tick(&scene);
	}
	CHECK(scene.seen.keys == 1);
	call_finish(&scene.call, CALL_CALLER, scene.now_us);
	CHECK(recv(scene.agent, heard, 3, MSG_WAITALL) == 3 && !memcmp(heard, "\x00\x00\x00", 3));
	CHECK(recv(scene.agent, heard, 1, 0) == 0);
	end(&scene, CALL_CALLER);
}

static void a_burst_is_paced_and_heard_to_its_end(void)
{
	struct call_options options = defaults();
	struct scene scene;
	size_t i;

	begin(&scene, &options);
	for (i = 0; i < 200; i++) {
		agent_says(&scene, 5000);
	}
	agent_sends(&scene, "\x00\x00\x00", 3);
	for (i = 0; i < 100; i++) {
		tick(&scene);
		CHECK(scene.seen.loud_frames <= i + 1);
	}
	run_to_end(&scene, 200);
	/* All of it, and no more than the 5 ms that it fades in. */
	CHECK(scene.seen.loud_samples >= 200 * SAMPLES - 40 && scene.seen.loud_samples <= 200 * SAMPLES + 40);
	end(&scene, CALL_AGENT);
}

/* More than may wait: the agent waits, nothing is lost, and nothing grows. */
static void an_agent_that_reads_from_a_file_waits(void)
{
	struct call_options options = defaults();
	uint8_t frame[323] = { 0x10, 0x01, 0x40 };
	uint64_t waiting_us, most_us = 0;
	struct scene scene;
	size_t room, sent = 0, wanted = 90 * 50 * sizeof(frame), i, at;
	ssize_t n;

	for (i = 3; i < sizeof(frame); i++) {
		frame[i] = 0x11;
	}
	begin(&scene, &options);
	for (i = 0; i < 92 * 50 && scene.call.end == CALL_RUNS; i++) {
		while (sent < wanted) {
			at = sent % sizeof(frame);
			n = send(scene.agent, frame + at, sizeof(frame) - at, MSG_DONTWAIT | MSG_NOSIGNAL);
			if (n < 0) {
				break;
			}
			sent += (size_t) n;
			if (sent == wanted) {
				shutdown(scene.agent, SHUT_WR);
			}
		}
		tick(&scene);
		if (scene.call.end == CALL_RUNS
			&& talkpath_agent_buffered(scene.call.agent, HZ, &waiting_us, &room) == TALKPATH_STATUS_OK
			&& waiting_us > most_us) {
			most_us = waiting_us;
		}
	}
	/* The rest waits in the kernel, which lets the agent send no more than it has room for. */
	CHECK(sent == wanted && most_us > 20000000 && most_us <= 60000000);
	CHECK(scene.seen.loud_samples >= 90 * HZ - 40 && scene.seen.loud_samples <= 90 * HZ + 40);
	end(&scene, CALL_AGENT);
}

static void an_agent_that_does_not_read_misses_what_comes_too_late(void)
{
	struct call_options options = defaults();
	struct call_summary summary;
	int16_t pcm[SAMPLES] = { 0 };
	struct scene scene;
	size_t i;

	begin(&scene, &options);
	for (i = 0; i < 60000; i++) {
		tick(&scene);
		call_hear(&scene.call, pcm, SAMPLES, scene.now_us);
	}
	call_summarise(&scene.call, &summary, scene.now_us);
	CHECK(summary.frames_in == 60000);
	/* What its own machine holds for it is a few megabytes; here wait half a second and a message. */
	CHECK(summary.frames_unsent > 30000 && summary.frames_unsent < 60000);
	call_finish(&scene.call, CALL_CALLER, scene.now_us);
	end(&scene, CALL_CALLER);
}

static void what_goes_wrong_ends_the_call(void)
{
	static const struct {
		const char *bytes;
		size_t len;
		enum call_end end;
	} wrongs[] = {
		{ "", 0, CALL_AGENT },
		{ "\x10", 1, CALL_LOST },
		{ "\x10\x01\x40half", 7, CALL_LOST },
		{ "\xff\x00\x01\x04", 4, CALL_LOST },
		{ "\x01\x00\x10################", 19, CALL_PROTOCOL },
	};
	struct call_options options = defaults();
	struct scene scene;
	size_t i;

	for (i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
		begin(&scene, &options);
		if (wrongs[i].len) {
			agent_sends(&scene, wrongs[i].bytes, wrongs[i].len);
		}
		close(scene.agent);
		scene.agent = -1;
		run_to_end(&scene, 50);
		end(&scene, wrongs[i].end);
	}
	options.idle_ms = 1000;
	begin(&scene, &options);
	run_to_end(&scene, 60);
	end(&scene, CALL_IDLE);
}

/* The agent is live and deaf: it goes on with what it says, and is heard again once it has paused. */
static void the_caller_interrupts(const int16_t *speech, size_t samples)
{
	struct call_options options = defaults();
	struct scene scene;
	size_t i, heard, at = 0;

	begin(&scene, &options);
	for (i = 0; i < 150 && !scene.seen.interrupted; i++) {
		agent_says(&scene, 5000);
		tick(&scene);
		if (i >= 50 && at + SAMPLES <= samples) {
			call_hear(&scene.call, speech + at, SAMPLES, scene.now_us);
			at += SAMPLES;
		}
	}
	CHECK(scene.seen.interrupted == 1 && scene.seen.discarded_us > 0);
	/* Told to the millisecond: what went out until then, and nothing that was only received. */
	CHECK(scene.seen.played_us / 1000 == scene.seen.loud_samples * 1000 / HZ);
	tick(&scene);
	heard = scene.seen.loud_frames;
	for (i = 0; i < 50; i++) {
		agent_says(&scene, 5000);
		tick(&scene);
	}
	CHECK(scene.seen.loud_frames == heard);
	for (i = 0; i < 12; i++) {
		agent_says(&scene, 0);
		tick(&scene);
	}
	for (i = 0; i < 20; i++) {
		agent_says(&scene, 5000);
		tick(&scene);
	}
	CHECK(scene.seen.loud_frames > heard + 10);
	call_finish(&scene.call, CALL_KEY, scene.now_us);
	end(&scene, CALL_KEY);
}

static void pace_of(struct pace *pace, uint64_t *now_us, size_t messages, bool is_silent, uint64_t waiting_us,
	enum pace_verdict wanted)
{
	struct pace_message message = { .duration_us = FRAME_US, .is_silent = is_silent };

	while (messages--) {
		*now_us += FRAME_US;
		CHECK(pace_judge(pace, &message, *now_us, waiting_us, 100000, 200000) == wanted);
	}
}

static void a_live_agent_that_was_held_up_is_late(void)
{
	struct pace pace = { 0 };
	uint64_t now_us = 5000000;
	size_t i, late = 0;

	pace_of(&pace, &now_us, 200, false, 60000, PACE_PLAY);
	now_us += 1000000;
	for (i = 0; i < 50; i++) {
		struct pace_message message = { .duration_us = FRAME_US, .behind_us = (49 - i) * FRAME_US };
		late += pace_judge(&pace, &message, now_us, (i - late) * FRAME_US, 100000, 200000) == PACE_LATE;
	}
	/* The second that was held up, but for 200 ms. */
	CHECK(late >= 38 && late <= 41);
	pace_of(&pace, &now_us, 50, false, 180000, PACE_PLAY);
	/* What waits goes in the next pause, but for its first moments. */
	pace_of(&pace, &now_us, 2, true, 180000, PACE_PLAY);
	pace_of(&pace, &now_us, 4, true, 180000, PACE_SKIP);
	pace_of(&pace, &now_us, 4, true, 60000, PACE_PLAY);
}

static void a_live_agent_that_paused_is_not_late(void)
{
	struct pace pace = { 0 };
	uint64_t now_us = 5000000;

	pace_of(&pace, &now_us, 200, false, 60000, PACE_PLAY);
	/* It says nothing for a second, and nothing of that comes after. */
	now_us += 1000000;
	pace_of(&pace, &now_us, 200, false, 0, PACE_PLAY);
}

static void an_agent_ahead_of_time_is_never_late(void)
{
	struct pace pace = { 0 };
	uint64_t now_us = 5000000, waiting_us;
	size_t burst, i;

	for (burst = 0; burst < 4; burst++) {
		waiting_us = burst % 2 ? 1000000 : 0;
		for (i = 0; i < 500; i++) {
			struct pace_message message = { .duration_us = FRAME_US, .behind_us = (499 - i) * FRAME_US, .is_silent = i % 50 > 30 };
			CHECK(pace_judge(&pace, &message, now_us, waiting_us, 100000, 200000) == PACE_PLAY);
			waiting_us += FRAME_US;
		}
		now_us += 9000000;
	}
}

static void a_slow_clock_and_a_fast_one_are_no_delay(void)
{
	struct pace pace = { 0 };
	struct pace_message message = { .duration_us = FRAME_US };
	uint64_t now_us = 5000000;
	size_t i;

	for (i = 0; i < 20000; i++) {
		now_us += FRAME_US * 102 / 100;
		CHECK(pace_judge(&pace, &message, now_us, 20000, 100000, 200000) == PACE_PLAY);
	}
	/* The fast one's audio piles up, a minute in three hours: pauses take it away. */
	memset(&pace, 0, sizeof(pace));
	for (i = 0; i < 20000; i++) {
		now_us += FRAME_US * 995 / 1000;
		CHECK(pace_judge(&pace, &message, now_us, 150000, 100000, 200000) == PACE_PLAY);
	}
	pace_of(&pace, &now_us, 2, true, 160000, PACE_PLAY);
	pace_of(&pace, &now_us, 2, true, 160000, PACE_SKIP);
}

int main(int argc, char **argv)
{
	static int16_t speech[10 * HZ];
	FILE *file = argc > 1 ? fopen(argv[1], "rb") : NULL;
	size_t samples;

	CHECK(file);
	samples = fread(speech, sizeof(speech[0]), sizeof(speech) / sizeof(speech[0]), file);
	fclose(file);
	CHECK(samples > HZ);
	a_live_agent_that_was_held_up_is_late();
	a_live_agent_that_paused_is_not_late();
	an_agent_ahead_of_time_is_never_late();
	a_slow_clock_and_a_fast_one_are_no_delay();
	the_agent_hears_the_caller_and_presses_a_key();
	a_burst_is_paced_and_heard_to_its_end();
	an_agent_that_reads_from_a_file_waits();
	an_agent_that_does_not_read_misses_what_comes_too_late();
	what_goes_wrong_ends_the_call();
	the_caller_interrupts(speech, samples);
	return 0;
}
