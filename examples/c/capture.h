/*
 * RTP packets out of a capture of tcpdump: pcap, with IPv4 and IPv6 over what tcpdump captures from.
 */
#ifndef CAPTURE_H
#define CAPTURE_H

#include <talkpath.h>

#include "wav.h"

enum { CAPTURE_MOST_BYTES = 65536 };

struct capture {
    FILE *file;
    bool is_swapped; /* of the other byte order */
    bool has_nanoseconds;
    uint32_t link;
    uint8_t bytes[CAPTURE_MOST_BYTES];
};

struct rtp {
    TalkpathPacket packet;
    uint8_t payload_type;
    uint64_t time_us;
};

static inline uint32_t big_endian(const uint8_t *bytes, unsigned len)
{
    uint32_t number = 0;
    while (len-- > 0) {
        number = number << 8 | *bytes++;
    }
    return number;
}

static inline uint32_t capture_number(const struct capture *capture, const uint8_t *bytes)
{
    return capture->is_swapped ? big_endian(bytes, 4) : wav_number(bytes, 4);
}

/* Says how long what comes before IP is in a frame of this kind of network; false if it is not known. */
static inline bool link_header(uint32_t link, const uint8_t *at, size_t len, size_t *skip)
{
    switch (link) {
    case 1: /* Ethernet, with or without VLAN tags */
        for (*skip = 14; len >= *skip && big_endian(at + *skip - 2, 2) == 0x8100; *skip += 4) {
        }
        return true;
    case 113: /* Linux's "any" */
        *skip = 16;
        return true;
    case 276: /* the same, newer */
        *skip = 20;
        return true;
    case 0: /* BSD's loopback */
    case 108:
        *skip = 4;
        return true;
    default: /* bare IP, by three names */
        *skip = 0;
        return link == 12 || link == 14 || link == 101;
    }
}

/* Reads the head of a capture; NULL, or what is wrong with it. */
static inline const char *capture_open(struct capture *capture, FILE *file)
{
    uint8_t head[24];
    if (fread(head, 1, sizeof head, file) != sizeof head) {
        return "too short for a capture";
    }
    uint32_t magic = wav_number(head, 4);
    capture->file = file;
    capture->is_swapped = magic == 0xd4c3b2a1 || magic == 0x4d3cb2a1;
    capture->has_nanoseconds = magic == 0xa1b23c4d || magic == 0x4d3cb2a1;
    if (!capture->is_swapped && magic != 0xa1b2c3d4 && magic != 0xa1b23c4d) {
        return "not a .pcap file (editcap -F pcap turns a .pcapng into one)";
    }
    capture->link = capture_number(capture, head + 20) & 0xffff;
    size_t skip = 0;
    return link_header(capture->link, NULL, 0, &skip) ? NULL : "from a kind of network that is not known here";
}

/* Finds the payload of UDP over IP in a captured frame; NULL if there is none. */
static inline const uint8_t *udp_payload(uint32_t link, const uint8_t *at, size_t len, size_t *payload_len)
{
    size_t skip = 0;
    link_header(link, at, len, &skip);
    if (len < skip + 20) {
        return NULL;
    }
    at += skip;
    len -= skip;
    bool is_v4 = at[0] >> 4 == 4, is_v6 = at[0] >> 4 == 6;
    size_t header = is_v4 ? 4 * (at[0] & 15u) : 40;
    if (!(is_v4 || is_v6) || len < header + 8 || at[is_v4 ? 9 : 6] != 17) {
        return NULL;
    }
    if (is_v4 && (header < 20 || (big_endian(at + 6, 2) & 0x3fff) != 0)) {
        return NULL; /* fragments are not put together */
    }
    size_t udp = big_endian(at + header + 4, 2);
    *payload_len = udp < 8 || udp > len - header ? len - header - 8 : udp - 8;
    return at + header + 8;
}

static inline bool parse_rtp(const uint8_t *at, size_t len, struct rtp *rtp)
{
    if (len < 12 || at[0] >> 6 != 2 || (at[1] >= 192 && at[1] <= 223)) {
        return false; /* another protocol, or RTCP */
    }
    size_t header = 12 + 4 * (at[0] & 15u);
    if ((at[0] & 0x10) != 0) { /* an extension */
        header += len >= header + 4 ? 4 + 4 * (size_t)big_endian(at + header + 2, 2) : len;
    }
    size_t padding = (at[0] & 0x20) != 0 ? at[len - 1] : 0;
    if (len < header + padding) {
        return false;
    }
    rtp->payload_type = at[1] & 0x7f;
    rtp->packet = (TalkpathPacket){big_endian(at + 8, 4), big_endian(at + 4, 4), (uint16_t)big_endian(at + 2, 2),
                                   at[1] >> 7 != 0,       at + header,           len - header - padding};
    return true;
}

/* Reads up to the next RTP packet, whose bytes stay until the one after it; false at the capture's end. */
static inline bool capture_next(struct capture *capture, struct rtp *rtp)
{
    uint8_t head[16];
    while (fread(head, 1, sizeof head, capture->file) == sizeof head) {
        uint32_t len = capture_number(capture, head + 8);
        if (len > sizeof capture->bytes || fread(capture->bytes, 1, len, capture->file) != len) {
            break;
        }
        uint32_t fraction = capture_number(capture, head + 4);
        rtp->time_us = 1000000ull * capture_number(capture, head) + fraction / (capture->has_nanoseconds ? 1000 : 1);
        size_t payload_len = 0;
        const uint8_t *payload = udp_payload(capture->link, capture->bytes, len, &payload_len);
        if (payload != NULL && parse_rtp(payload, payload_len, rtp)) {
            return true;
        }
    }
    return false;
}

#endif
