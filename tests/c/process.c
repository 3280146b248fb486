/* Processes: started, read by their descriptor, written to, stopped; and wrong calls. */
#include <poll.h>
#include <signal.h>

#include "check.h"

static TalkpathProcess *start(TalkpathProcessManager *manager, const char *script, const TalkpathProcessConfig *config)
{
    const char *argv[] = {"/bin/sh", "-c", script, NULL};
    TalkpathProcess *process = NULL;
    CHECK_OK(talkpath_process_start(manager, argv, config, &process));
    CHECK(process != NULL);
    return process;
}

static bool reads(TalkpathProcess *process, int32_t stream, const char *wanted)
{
    const uint8_t *line = NULL;
    size_t len = 0;
    CHECK_OK(talkpath_process_read_line(process, stream, 30000, &line, &len, NULL));
    return len == strlen(wanted) && memcmp(line, wanted, len) == 0;
}

static TalkpathExit end_of(TalkpathProcess *process)
{
    TalkpathExit ended = {0};
    CHECK_OK(talkpath_process_wait(process, 30000, &ended));
    return ended;
}

static void a_talk(TalkpathProcessManager *manager)
{
    const char *env[] = {"GREETING=hello", NULL};
    TalkpathProcessConfig config = {.size = sizeof config, .env = env, .stderr_to = TALKPATH_STDERR_SEPARATE, .cwd = "/"};
    TalkpathProcess *process =
        start(manager, "pwd; echo oops >&2; printf 'Name: '; read n; echo $GREETING $n; exit 137", &config);
    const char *id = NULL;
    int32_t pid = 0;
    CHECK_OK(talkpath_process_id(process, &id));
    CHECK_OK(talkpath_process_pid(process, &pid));
    CHECK(strlen(id) > 5 && pid > 1);
    CHECK(reads(process, TALKPATH_STREAM_STDOUT, "/\n"));
    CHECK(reads(process, TALKPATH_STREAM_STDERR, "oops\n"));
    CHECK(reads(process, TALKPATH_STREAM_STDOUT, "Name: "));
    TalkpathExit ended = {0};
    CHECK(talkpath_process_wait(process, 0, &ended) == TALKPATH_STATUS_EMPTY);
    CHECK_OK(talkpath_process_write(process, (const uint8_t *)"Bob\n", 4, 30000));
    CHECK(reads(process, TALKPATH_STREAM_STDOUT, "hello Bob\n"));
    ended = end_of(process);
    CHECK(ended.code == 137 && ended.signal == 0 && ended.limit == TALKPATH_LIMIT_NONE && !ended.core_dumped);
    const uint8_t *line = NULL;
    size_t len = 0;
    uint64_t dropped = 0;
    CHECK(talkpath_process_read_line(process, 0, -1, &line, &len, &dropped) == TALKPATH_STATUS_SESSION_ENDED);
    talkpath_process_free(process);
}

/* A program with a loop of its own waits for the descriptor. */
static void by_descriptor(TalkpathProcessManager *manager)
{
    TalkpathProcess *process = start(manager, "i=0; while [ $i -lt 100 ]; do echo $i; i=$((i+1)); done", NULL);
    struct pollfd waiting = {-1, POLLIN, 0};
    CHECK_OK(talkpath_process_fd(process, &waiting.fd));
    int lines = 0;
    TalkpathStatus status = TALKPATH_STATUS_EMPTY;
    while (status != TALKPATH_STATUS_SESSION_ENDED) {
        CHECK(poll(&waiting, 1, 30000) == 1);
        CHECK_OK(talkpath_process_hush(process));
        const uint8_t *line = NULL;
        size_t len = 0;
        while ((status = talkpath_process_read_line(process, 0, 0, &line, &len, NULL)) == TALKPATH_STATUS_OK) {
            char wanted[8];
            CHECK((size_t)snprintf(wanted, sizeof wanted, "%d\n", lines) == len && memcmp(line, wanted, len) == 0);
            lines++;
        }
    }
    CHECK(lines == 100);
    CHECK(end_of(process).code == 0);
    talkpath_process_free(process);
}

static void ends(TalkpathProcessManager *manager)
{
    TalkpathProcessConfig config = {.size = sizeof config, .limit_wall_ms = 50};
    TalkpathProcess *process = start(manager, "sleep 60", &config);
    CHECK(end_of(process).limit == TALKPATH_LIMIT_WALL_TIME);
    talkpath_process_free(process);

    process = start(manager, "exec sleep 60", NULL);
    static uint8_t much[200000];
    CHECK(talkpath_process_write(process, much, sizeof much, 50) == TALKPATH_STATUS_TIMEOUT);
    CHECK(talkpath_process_resize(process, 10, 10) == TALKPATH_STATUS_INVALID_ARGUMENT);
    CHECK_OK(talkpath_process_stop(process, 0));
    TalkpathExit ended = end_of(process);
    CHECK(ended.code == -1 && ended.signal == SIGKILL);
    CHECK(talkpath_process_write(process, much, 1, 50) == TALKPATH_STATUS_IO);
    talkpath_process_free(process);

    config = (TalkpathProcessConfig){.size = sizeof config, .rows = 7, .columns = 33};
    process = start(manager, "stty size; cat > /dev/null", &config);
    CHECK(reads(process, 0, "7 33\r\n"));
    CHECK_OK(talkpath_process_resize(process, 10, 10));
    CHECK_OK(talkpath_process_close_input(process));
    CHECK(end_of(process).code == 0);
    talkpath_process_free(process);

    process = start(manager, "exec sleep 60", NULL);
    CHECK_OK(talkpath_process_signal(process, SIGUSR1));
    CHECK(end_of(process).signal == SIGUSR1);
    talkpath_process_free(process);
}

static void on_the_bus(void)
{
    TalkpathBus *bus = NULL;
    TalkpathSubscription *subscription = NULL;
    TalkpathProcessManager *manager = NULL;
    CHECK_OK(talkpath_bus_new(&bus));
    CHECK_OK(talkpath_bus_subscribe(bus, "call-1", "process:exited", NULL, &subscription));
    CHECK_OK(talkpath_process_manager_new(TALKPATH_TIER_SUBREAPER, bus, &manager));
    TalkpathProcessConfig config = {.size = sizeof config, .console = "call-1", .output = TALKPATH_OUTPUT_DISCARD};
    talkpath_process_free(start(manager, "exit 3", &config));
    CHECK_OK(talkpath_subscription_wait(subscription, 30000));
    talkpath_process_manager_free(manager, 0);
    talkpath_subscription_free(subscription);
    talkpath_bus_free(bus);
}

static void wrong_calls(TalkpathProcessManager *manager)
{
    TalkpathProcess *process = NULL;
    TalkpathProcessManager *other = NULL;
    const char *none[] = {NULL}, *missing[] = {"no-such-program", NULL}, *program[] = {"true", NULL};
    CHECK(talkpath_process_manager_new(9, NULL, &other) == TALKPATH_STATUS_INVALID_ARGUMENT);
    CHECK(talkpath_process_manager_new(1, NULL, NULL) == TALKPATH_STATUS_NULL_POINTER);
    CHECK(talkpath_process_start(manager, none, NULL, &process) == TALKPATH_STATUS_INVALID_ARGUMENT);
    CHECK(talkpath_process_start(manager, missing, NULL, &process) == TALKPATH_STATUS_IO);
    CHECK(talkpath_process_start(manager, NULL, NULL, &process) == TALKPATH_STATUS_NULL_POINTER);
    CHECK(talkpath_process_start(NULL, program, NULL, &process) == TALKPATH_STATUS_NULL_POINTER);
    TalkpathProcessConfig config = {.size = 4};
    CHECK(talkpath_process_start(manager, program, &config, &process) == TALKPATH_STATUS_INVALID_ARGUMENT);
    config = (TalkpathProcessConfig){.size = sizeof config, .output = 7};
    CHECK(talkpath_process_start(manager, program, &config, &process) == TALKPATH_STATUS_INVALID_ARGUMENT);
    config = (TalkpathProcessConfig){.size = sizeof config, .console = "a console without a bus"};
    CHECK(talkpath_process_start(manager, program, &config, &process) == TALKPATH_STATUS_INVALID_ARGUMENT);
    CHECK(process == NULL);
    CHECK(talkpath_process_stop(NULL, 0) == TALKPATH_STATUS_NULL_POINTER);
    talkpath_process_free(NULL);
    talkpath_process_manager_free(NULL, 0);
}

/* valgrind before 3.24 does not know pidfd_open, without which there is no guardian: then only wrong calls are made. */
static bool is_without_pidfds(TalkpathProcessManager *manager)
{
    const char *argv[] = {"true", NULL};
    TalkpathProcess *process = NULL;
    char text[256] = "";
    size_t needed = 0;
    TalkpathStatus status = talkpath_process_start(manager, argv, NULL, &process);
    talkpath_process_free(process);
    return status == TALKPATH_STATUS_IO && talkpath_last_error(text, sizeof text, &needed) == TALKPATH_STATUS_OK &&
           strstr(text, "os error 38") != NULL;
}

int main(void)
{
    TalkpathProcessManager *manager = NULL;
    CHECK_OK(talkpath_process_manager_new(TALKPATH_TIER_SUBREAPER, NULL, &manager));
    if (is_without_pidfds(manager)) {
        wrong_calls(manager);
        talkpath_process_manager_free(manager, 0);
        return 0;
    }
    a_talk(manager);
    by_descriptor(manager);
    ends(manager);
    wrong_calls(manager);
    on_the_bus();
    /* What is left ends with the manager. */
    TalkpathProcess *left = start(manager, "trap '' TERM; echo ready; while :; do sleep 60; done", NULL);
    CHECK(reads(left, 0, "ready\n"));
    talkpath_process_manager_free(manager, 50);
    CHECK(end_of(left).signal == SIGKILL);
    talkpath_process_free(left);
    return 0;
}
