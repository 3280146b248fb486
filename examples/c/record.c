/*
 * An answering machine that records whole calls: record [-g GREETING.wav] [-p PORT] FOLDER
 *
 * Listens for Asterisk's AudioSocket on 127.0.0.1 (port 8090 by default), plays the greeting, and records until the
 * caller hangs up: FOLDER/TIME-ID.wav, the caller on the left, what he was sent on the right, both where they lay in the
 * call. A recording has its name when it is complete, and not before. SIGTERM and SIGINT end the calls, and complete them.
 *
 * One thread carries all calls. A session needs a clock and a wire: both are here. (talkpath_server_new has threads of
 * its own; it would do if one needed not know what was sent when.)
 */
#define _POSIX_C_SOURCE 200809L
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>

#include <talkpath.h>

#include "recording.h"

enum {
    MOST_CALLS = 100,
    MOST_FRAME = 192000 / 1000 * 60,
    MOST_GREETING = 60 * 48000,
    SILENT_US = 10000000, /* how long a caller's connection may say nothing */
    SLACK_US = 200000,    /* how late a caller's audio may be before it counts as a pause */
};

struct call {
    int fd;
    TalkpathAudioSocketDecoder *decoder;
    TalkpathSession *session;
    TalkpathAgent *agent; /* NULL until the first audio */
    uint64_t heard_us, timeout_us, started_us;
    bool is_over;
    char id[40];
    struct recording recording;
    size_t greeted;  /* how much of the greeting has been written */
    uint64_t pauses; /* what the caller did not send, in samples */
};

static struct call calls[MOST_CALLS];
static size_t calls_len;
static int folder, stop_pipe[2];
static int16_t greeting[MOST_GREETING];
static size_t greeting_len;
static uint32_t greeting_rate_hz = 8000;

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "record: %s: %s\n", what, why);
    exit(1);
}

static uint64_t clock_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return 1000000ull * (uint64_t)now.tv_sec + (uint64_t)now.tv_nsec / 1000;
}

static uint64_t samples_since_start(const struct call *call, uint64_t time_us)
{
    return time_us < call->started_us ? 0 : (time_us - call->started_us) * call->recording.rate_hz / 1000000;
}

static void start(struct call *call, uint64_t now_us)
{
    TalkpathFormat format;
    if (talkpath_session_take_agent(call->session, &call->agent) != TALKPATH_STATUS_OK ||
        talkpath_agent_format(call->agent, &format) != TALKPATH_STATUS_OK ||
        talkpath_agent_configure_input(call->agent, format.output_rate_hz, 20, false) != TALKPATH_STATUS_OK) {
        call->is_over = true;
        return;
    }
    char day[32], name[80];
    time_t now = time(NULL);
    strftime(day, sizeof day, "%Y%m%dT%H%M%S", localtime(&now));
    snprintf(name, sizeof name, "%s-%s.wav", day, call->id);
    /* A frame that is overdue goes out now, with audio. */
    call->started_us = call->timeout_us < now_us ? call->timeout_us : now_us;
    if (!recording_begin(&call->recording, folder, name, format.output_rate_hz)) {
        fprintf(stderr, "record: %s: %s\n", name, strerror(errno));
        call->is_over = true;
    }
}

static void transmit(struct call *call, const TalkpathOutput *output)
{
    int16_t samples[MOST_FRAME];
    uint8_t message[3 + 2 * MOST_FRAME];
    size_t len = output->payload_len / 2, message_len = 0;
    for (size_t i = 0; i < len && i < MOST_FRAME; i++) {
        samples[i] = (int16_t)wav_number(output->payload + 2 * i, 2);
    }
    if (call->agent != NULL) { /* silence goes out before that */
        recording_put(&call->recording, 1, samples_since_start(call, output->due_us), samples, len);
    }
    /* Half a message would garble the rest: who has taken nothing for so long is gone. */
    call->is_over |= talkpath_audiosocket_encode_audio(output->rate_hz, samples, len, message, sizeof message,
                                                       &message_len) != TALKPATH_STATUS_OK ||
                     send(call->fd, message, message_len, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)message_len;
}

/* The agent's part: keeps what the caller says, and says the greeting. */
static void attend(struct call *call)
{
    int16_t samples[MOST_FRAME];
    TalkpathHeard heard;
    while (talkpath_agent_read(call->agent, samples, MOST_FRAME, &heard) == TALKPATH_STATUS_OK) {
        uint64_t at = heard.position_us * call->recording.rate_hz / 1000000 + call->pauses;
        recording_put(&call->recording, 0, at, samples, heard.len);
    }
    uint16_t generation = 0;
    size_t taken = 0;
    talkpath_agent_generation(call->agent, &generation);
    if (call->greeted < greeting_len &&
        talkpath_agent_write(call->agent, greeting + call->greeted, greeting_len - call->greeted, greeting_rate_hz,
                             "greeting", generation, &taken) == TALKPATH_STATUS_OK) {
        call->greeted += taken;
        if (call->greeted == greeting_len) {
            talkpath_agent_complete(call->agent);
        }
    }
}

/* Does what the session wants done, until it wants nothing before `timeout_us`. */
static void drive(struct call *call, uint64_t now_us)
{
    TalkpathOutput output;
    while (!call->is_over && talkpath_session_poll(call->session, now_us, &output) == TALKPATH_STATUS_OK) {
        if (output.kind == TALKPATH_OUTPUT_STARTED) {
            start(call, now_us);
        } else if (output.kind == TALKPATH_OUTPUT_TRANSMIT) {
            transmit(call, &output);
        } else if (output.kind == TALKPATH_OUTPUT_WAKE && call->agent != NULL) {
            attend(call);
        } else if (output.kind == TALKPATH_OUTPUT_HANGUP) {
            send(call->fd, "\0\0", 3, MSG_NOSIGNAL | MSG_DONTWAIT);
        } else if (output.kind == TALKPATH_OUTPUT_ENDED) {
            call->is_over = true;
        } else if (output.kind == TALKPATH_OUTPUT_TIMEOUT) {
            call->timeout_us = output.timeout_us;
            return;
        }
    }
}

static void handle_input(struct call *call, uint64_t now_us)
{
    static uint8_t bytes[65536];
    ssize_t len = recv(call->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (len <= 0) {
        call->is_over = len == 0 || (errno != EAGAIN && errno != EINTR);
        return;
    }
    call->heard_us = now_us;
    /* What is here now may be late; what is not has not been sent. */
    uint64_t end = call->recording.end[0] + (size_t)len / 2, by_now = samples_since_start(call, now_us);
    if (call->agent != NULL && by_now > end + samples_since_start(call, call->started_us + SLACK_US)) {
        call->pauses += by_now - end;
    }
    size_t taken = 0;
    TalkpathAudioSocketMessage message;
    TalkpathStatus status;
    for (size_t at = 0; (status = talkpath_audiosocket_decoder_poll(call->decoder, bytes + at, (size_t)len - at, &taken,
                                                                    &message)) == TALKPATH_STATUS_OK;
         at += taken) {
        if (message.kind == TALKPATH_AUDIOSOCKET_ID) {
            memcpy(call->id, message.id, sizeof call->id);
        } else if (message.kind == TALKPATH_AUDIOSOCKET_AUDIO) {
            talkpath_session_handle_audio(call->session, TALKPATH_CODEC_SLIN, message.rate_hz, message.payload,
                                          message.payload_len, now_us);
            drive(call, now_us);
        } else if (message.kind != TALKPATH_AUDIOSOCKET_DTMF) {
            call->is_over = true;
        }
    }
    call->is_over |= status != TALKPATH_STATUS_EMPTY;
}

static void open_call(int listener, uint64_t now_us)
{
    struct call call = {.fd = accept(listener, NULL, NULL), .heard_us = now_us, .timeout_us = now_us};
    TalkpathSessionConfig config;
    if (call.fd == -1) {
        return;
    }
    setsockopt(call.fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    talkpath_session_config_default(&config, sizeof config);
    config.vad = TALKPATH_VAD_NONE;
    config.echo_canceller = TALKPATH_ECHO_OFF; /* the line as it was */
    if (talkpath_audiosocket_decoder_new(false, &call.decoder) == TALKPATH_STATUS_OK &&
        talkpath_session_new(&config, false, false, now_us, &call.session) == TALKPATH_STATUS_OK) {
        calls[calls_len++] = call;
        return;
    }
    talkpath_audiosocket_decoder_free(call.decoder);
    close(call.fd);
}

static void close_call(struct call *call)
{
    close(call->fd);
    if (call->agent != NULL && !recording_end(&call->recording)) {
        fprintf(stderr, "record: %s: %s\n", call->recording.part, strerror(errno));
    } else if (call->agent != NULL) {
        printf("%s %.2f s\n", call->recording.part + 1, (double)call->recording.saved / call->recording.rate_hz);
        fflush(stdout);
    }
    talkpath_agent_free(call->agent);
    talkpath_session_free(call->session);
    talkpath_audiosocket_decoder_free(call->decoder);
    *call = calls[--calls_len];
}

static void on_signal(int number)
{
    (void)number;
    int kept = errno;
    if (write(stop_pipe[1], "", 1) == -1) {
        _exit(1);
    }
    errno = kept;
}

/* AudioSocket knows no passwords: on this machine alone. */
static int listen_at(uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof to;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (fd == -1 || bind(fd, (struct sockaddr *)&to, len) != 0 || listen(fd, 128) != 0 ||
        getsockname(fd, (struct sockaddr *)&to, &len) != 0 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
        fail("cannot listen", strerror(errno));
    }
    printf("listening on 127.0.0.1:%u\n", ntohs(to.sin_port));
    fflush(stdout);
    return fd;
}

static void read_greeting(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint32_t bytes = 0;
    uint8_t sample[2];
    if (file == NULL || !wav_open(file, &greeting_rate_hz, &bytes)) {
        fail(path, file == NULL ? strerror(errno) : "not a WAV file of 16-bit mono samples");
    }
    for (; greeting_len < bytes / 2 && greeting_len < MOST_GREETING && fread(sample, 1, 2, file) == 2; greeting_len++) {
        greeting[greeting_len] = (int16_t)wav_number(sample, 2);
    }
    fclose(file);
}

int main(int argc, char **argv)
{
    uint16_t port = 8090;
    for (int option; (option = getopt(argc, argv, "g:p:")) != -1;) {
        if (option == 'g') {
            read_greeting(optarg);
        } else if (option == 'p') {
            port = (uint16_t)strtoul(optarg, NULL, 10);
        } else {
            return 2;
        }
    }
    if (argc - optind != 1) {
        fprintf(stderr, "usage: record [-g GREETING.wav] [-p PORT] FOLDER\n");
        return 2;
    }
    folder = open(argv[optind], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder == -1 || pipe(stop_pipe) != 0) {
        fail(argv[optind], strerror(errno));
    }
    int listener = listen_at(port);
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_signal}, NULL);
    sigaction(SIGINT, &(struct sigaction){.sa_handler = on_signal}, NULL);

    for (bool is_stopping = false; !is_stopping || calls_len > 0;) {
        struct pollfd fds[2 + MOST_CALLS] = {{.fd = stop_pipe[0], .events = POLLIN},
                                             {.fd = calls_len < MOST_CALLS ? listener : -1, .events = POLLIN}};
        uint64_t now_us = clock_us(), next_us = now_us + 1000000;
        for (size_t i = 0; i < calls_len; i++) {
            fds[2 + i] = (struct pollfd){.fd = calls[i].fd, .events = POLLIN};
            next_us = calls[i].timeout_us < next_us ? calls[i].timeout_us : next_us;
        }
        size_t polled = calls_len;
        int ready = poll(fds, 2 + polled, next_us > now_us ? (int)((next_us - now_us + 999) / 1000) : 0);
        is_stopping |= ready > 0 && fds[0].revents != 0;
        now_us = clock_us();
        for (size_t i = polled; i-- > 0;) {
            struct call *call = &calls[i];
            if (ready > 0 && fds[2 + i].revents != 0) {
                handle_input(call, now_us);
            }
            if (is_stopping && call->agent != NULL) {
                talkpath_agent_hangup(call->agent, false);
            }
            drive(call, now_us);
            if (call->is_over || now_us - call->heard_us > SILENT_US || (is_stopping && call->agent == NULL)) {
                close_call(call);
            }
        }
        if (ready > 0 && fds[1].revents != 0 && !is_stopping) {
            open_call(listener, now_us);
        }
    }
    return 0;
}
