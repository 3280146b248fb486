/* A server over AudioSocket, with this program as Asterisk: a call is handed over by callback, echoes, and ends. */
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

enum { FRAME = 160 };

struct call {
    TalkpathAgent *agent;
    uint64_t key;
    unsigned heard;
    bool ended;
};

static void on_call(TalkpathAgent *agent, const TalkpathCallInfo *info, void *user)
{
    struct call *call = user;
    CHECK(call->agent == NULL && strlen(info->id) == 36 && strncmp(info->peer, "127.0.0.1:", 10) == 0);
    call->agent = agent;
    call->key = info->key;
}

static void on_ready(uint64_t key, void *user)
{
    struct call *call = user;
    if (call->agent == NULL || key != call->key) {
        return;
    }
    int16_t frame[480];
    TalkpathHeard heard;
    uint16_t generation;
    CHECK_OK(talkpath_agent_generation(call->agent, &generation));
    while (talkpath_agent_read(call->agent, frame, 480, &heard) == TALKPATH_STATUS_OK) {
        size_t taken;
        call->heard++;
        talkpath_agent_write(call->agent, frame, heard.len, heard.rate_hz, "echo", generation, &taken);
    }
    TalkpathEvent event;
    while (talkpath_agent_poll_event(call->agent, &event) == TALKPATH_STATUS_OK) {
        call->ended |= event.kind == TALKPATH_EVENT_ENDED;
    }
}

static void on_log(int32_t severity, const char *line, void *user)
{
    (void)user;
    CHECK(severity >= 0 && severity <= 3 && strlen(line) > 3);
}

static void read_whole(int fd, uint8_t *out, size_t len)
{
    while (len > 0) {
        ssize_t n = read(fd, out, len);
        CHECK(n > 0);
        out += n;
        len -= (size_t)n;
    }
}

int main(void)
{
    TalkpathServer *server = NULL;
    CHECK_STATUS(talkpath_server_new("ftp://127.0.0.1:0", NULL, &server), TALKPATH_STATUS_INVALID_ARGUMENT);
    check_error_says("ftp://127.0.0.1:0");
    TalkpathServerConfig config = {.size = sizeof config, .max_calls = 4, .media_threads = 1};
    config.size = 5;
    CHECK_STATUS(talkpath_server_new("127.0.0.1:0", &config, &server), TALKPATH_STATUS_INVALID_ARGUMENT);
    config.size = sizeof config;
    CHECK_OK(talkpath_server_new("audiosocket://127.0.0.1:0", &config, &server));
    char address[64];
    uint16_t port = 0;
    CHECK_OK(talkpath_server_address(server, address, sizeof address, &port));
    CHECK(strncmp(address, "127.0.0.1:", 10) == 0 && port != 0);
    TalkpathServer *second = NULL;
    char taken[80];
    snprintf(taken, sizeof taken, "audiosocket://%s", address);
    CHECK_STATUS(talkpath_server_new(taken, NULL, &second), TALKPATH_STATUS_IO);

    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
    uint8_t id[19] = {1, 0, 16, 0xab, 0xcd};
    CHECK(write(fd, id, sizeof id) == (ssize_t)sizeof id);

    struct call call = {0};
    TalkpathServerCallbacks callbacks = {on_call, on_ready, on_log, &call};
    uint8_t said[3 + 2 * FRAME] = {0x10, 1, 0x40};
    uint8_t answer[3 + 2 * FRAME];
    for (int i = 0; i < FRAME; i++) {
        said[3 + 2 * i] = 0x10;
        said[4 + 2 * i] = 0x10;
    }
    unsigned echoed = 0;
    for (int n = 0; n < 500 && echoed < 20; n++) {
        CHECK(write(fd, said, sizeof said) == (ssize_t)sizeof said);
        CHECK_OK(talkpath_server_dispatch(server, 100, &callbacks));
        read_whole(fd, answer, sizeof answer); /* one frame each 20 ms paces this loop */
        CHECK(answer[0] == 0x10);
        echoed += answer[3 + FRAME] == 0x10;
    }
    CHECK(echoed == 20 && call.heard >= 20);

    CHECK_OK(talkpath_agent_hangup(call.agent, false));
    while (!call.ended) {
        CHECK_OK(talkpath_server_dispatch(server, 1000, &callbacks));
    }
    close(fd);
    CHECK_OK(talkpath_server_stop(server, 0));
    TalkpathStatus status;
    while ((status = talkpath_server_dispatch(server, 1000, &callbacks)) == TALKPATH_STATUS_OK) {
    }
    CHECK(status == TALKPATH_STATUS_SESSION_ENDED);
    bool is_stopped = false;
    CHECK_OK(talkpath_server_is_stopped(server, &is_stopped));
    CHECK(is_stopped);
    talkpath_server_free(server);
    talkpath_agent_free(call.agent);
    talkpath_server_free(NULL);
    return 0;
}
