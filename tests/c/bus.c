/* The event bus: publishers on threads, a reader by its descriptor, gaps, and wrong calls. */
#include <poll.h>
#include <threads.h>

#include "check.h"

#define EACH 5000

static int publish(void *argument)
{
    const TalkpathBus *bus = argument;
    for (int i = 0; i < EACH; i++) {
        char json[32];
        int len = snprintf(json, sizeof json, "{\"n\":%d}", i);
        CHECK_OK(talkpath_bus_publish(bus, "call-1", "voice:mic_level", TALKPATH_PAYLOAD_JSON, (const uint8_t *)json,
                                      (size_t)len, true, NULL));
    }
    return 0;
}

/* Nothing is lost, and the numbers are in order, though four threads publish. */
static void threads_and_a_descriptor(void)
{
    TalkpathBus *bus = NULL;
    TalkpathSubscription *subscription = NULL;
    TalkpathSubscriptionConfig config = {sizeof config, 64, 0, TALKPATH_POLICY_LOSSLESS};
    CHECK_OK(talkpath_bus_new(&bus));
    CHECK_OK(talkpath_bus_subscribe(bus, "call-*", "voice:*", &config, &subscription));
    thrd_t threads[4];
    for (int i = 0; i < 4; i++) {
        CHECK(thrd_create(&threads[i], publish, bus) == thrd_success);
    }
    struct pollfd waiting = {-1, POLLIN, 0};
    CHECK_OK(talkpath_subscription_fd(subscription, &waiting.fd));
    uint64_t seen = 0;
    while (seen < 4 * EACH) {
        CHECK(poll(&waiting, 1, 20000) == 1);
        TalkpathBusEvent events[16];
        size_t count = 0;
        TalkpathStatus status = talkpath_subscription_drain(subscription, events, 16, &count);
        CHECK(status == TALKPATH_STATUS_OK || status == TALKPATH_STATUS_EMPTY);
        for (size_t i = 0; status == TALKPATH_STATUS_OK && i < count; i++) {
            CHECK(events[i].delivery == TALKPATH_DELIVERY_EVENT);
            CHECK(events[i].sequence == ++seen && events[i].time_us > 0);
            CHECK(events[i].session_len == 6 && memcmp(events[i].session, "call-1", 6) == 0);
            CHECK(events[i].kind_len == 15 && memcmp(events[i].kind, "voice:mic_level", 15) == 0);
            CHECK(events[i].payload_type == TALKPATH_PAYLOAD_JSON);
            CHECK(events[i].payload_len > 6 && memcmp(events[i].payload, "{\"n\":", 5) == 0);
        }
    }
    for (int i = 0; i < 4; i++) {
        int result = 1;
        CHECK(thrd_join(threads[i], &result) == thrd_success && result == 0);
    }
    talkpath_subscription_free(subscription);
    talkpath_bus_free(bus);
}

static int wait_for_the_end(void *argument)
{
    TalkpathSubscription *subscription = argument;
    TalkpathStatus status;
    while ((status = talkpath_subscription_wait(subscription, -1)) == TALKPATH_STATUS_OK) {
        TalkpathBusEvent event;
        size_t count = 0;
        CHECK_OK(talkpath_subscription_drain(subscription, &event, 1, &count));
        CHECK(event.payload_type == TALKPATH_PAYLOAD_BYTES && event.payload_len == 3 && event.payload[2] == 9);
    }
    CHECK(status == TALKPATH_STATUS_SESSION_ENDED);
    return 0;
}

int main(void)
{
    threads_and_a_descriptor();

    TalkpathBus *bus = NULL;
    TalkpathSubscription *slow = NULL, *waiting = NULL;
    TalkpathSubscriptionConfig config = {sizeof config, 2, 0, TALKPATH_POLICY_DROP_OLDEST};
    CHECK_OK(talkpath_bus_new(&bus));
    CHECK_OK(talkpath_bus_subscribe(bus, "*", "*", &config, &slow));
    CHECK_OK(talkpath_bus_subscribe(bus, "*", "bytes", NULL, &waiting));
    thrd_t thread;
    CHECK(thrd_create(&thread, wait_for_the_end, waiting) == thrd_success);
    const uint8_t bytes[] = {7, 8, 9};
    uint64_t sequence = 0;
    for (unsigned i = 1; i <= 5; i++) {
        CHECK_OK(talkpath_bus_publish(bus, "s", "bytes", TALKPATH_PAYLOAD_BYTES, bytes, 3, false, &sequence));
        CHECK(sequence == i);
    }
    TalkpathBusEvent events[8];
    size_t count = 0;
    CHECK_OK(talkpath_subscription_drain(slow, events, 8, &count));
    CHECK(count == 3 && events[0].delivery == TALKPATH_DELIVERY_GAP);
    CHECK(events[0].count == 3 && events[0].sequence == 1 && events[0].last_sequence == 3);
    CHECK(events[0].session_len == 1 && events[0].session[0] == 's');
    CHECK(events[1].sequence == 4 && events[2].sequence == 5);
    CHECK_STATUS(talkpath_subscription_drain(slow, events, 8, &count), TALKPATH_STATUS_EMPTY);
    CHECK_STATUS(talkpath_subscription_wait(slow, 0), TALKPATH_STATUS_EMPTY);

    config.policy = TALKPATH_POLICY_LOSSLESS;
    config.capacity = 1;
    TalkpathSubscription *full = NULL;
    CHECK_OK(talkpath_bus_subscribe(bus, "full", "*", &config, &full));
    CHECK_OK(talkpath_bus_publish(bus, "full", "k", TALKPATH_PAYLOAD_BYTES, NULL, 0, false, NULL));
    CHECK_STATUS(talkpath_bus_publish(bus, "full", "k", TALKPATH_PAYLOAD_BYTES, NULL, 0, false, &sequence),
                 TALKPATH_STATUS_LIMIT_EXCEEDED);
    CHECK(sequence == 5);

    CHECK_STATUS(talkpath_bus_new(NULL), TALKPATH_STATUS_NULL_POINTER);
    CHECK_STATUS(talkpath_bus_publish(NULL, "s", "k", 0, bytes, 3, false, NULL), TALKPATH_STATUS_NULL_POINTER);
    CHECK_STATUS(talkpath_bus_publish(bus, NULL, "k", 0, bytes, 3, false, NULL), TALKPATH_STATUS_NULL_POINTER);
    CHECK_STATUS(talkpath_bus_publish(bus, "s", "k", 1, NULL, 3, false, NULL), TALKPATH_STATUS_NULL_POINTER);
    CHECK_STATUS(talkpath_bus_publish(bus, "s", "k", 9, bytes, 3, false, NULL), TALKPATH_STATUS_INVALID_ARGUMENT);
    check_error_says("payload_type 9");
    CHECK_STATUS(talkpath_bus_publish(bus, "", "k", 1, bytes, 3, false, NULL), TALKPATH_STATUS_INVALID_ARGUMENT);
    const uint8_t not_utf8[] = {0xff};
    CHECK_STATUS(talkpath_bus_publish(bus, "s", "k", 0, not_utf8, 1, false, NULL), TALKPATH_STATUS_INVALID_ARGUMENT);
    config.policy = 7;
    CHECK_STATUS(talkpath_bus_subscribe(bus, "*", "*", &config, &full), TALKPATH_STATUS_INVALID_ARGUMENT);
    config.size = 3;
    CHECK_STATUS(talkpath_bus_subscribe(bus, "*", "*", &config, &full), TALKPATH_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(talkpath_bus_subscribe(bus, "*", "*", NULL, NULL), TALKPATH_STATUS_NULL_POINTER);
    CHECK_STATUS(talkpath_subscription_drain(slow, NULL, 8, &count), TALKPATH_STATUS_NULL_POINTER);
    CHECK_STATUS(talkpath_subscription_drain(NULL, events, 8, &count), TALKPATH_STATUS_NULL_POINTER);
    CHECK_STATUS(talkpath_subscription_fd(slow, NULL), TALKPATH_STATUS_NULL_POINTER);
    CHECK_STATUS(talkpath_subscription_wait(NULL, 0), TALKPATH_STATUS_NULL_POINTER);

    talkpath_bus_free(bus);
    int result = 1;
    CHECK(thrd_join(thread, &result) == thrd_success && result == 0);
    talkpath_subscription_free(waiting);
    talkpath_subscription_free(full);
    talkpath_subscription_free(slow);
    talkpath_subscription_free(NULL);
    talkpath_bus_free(NULL);
    return 0;
}
