"""Writes opus.txt: packets of ffmpeg's and of ours, and what ffmpeg's own decoder makes of both.

Needs ffmpeg with libopus, and talkpath itself: ``python3 make_opus.py > opus.txt``. ffmpeg encodes through libopus,
but its decoder was written anew from RFC 6716.

One line each: ``<name> <who encoded> <packets> <samples>``. Packets are hexadecimal, with commas between; samples are
every 23rd of those at 48 kHz, the mean of both channels where there are two, as 16-bit big-endian.
"""

import math
import struct
import subprocess

import talkpath

SECONDS = 0.36
EVERY = 23


def speech_like(rate, channels=1):
    """A buzz whose pitch glides and whose loudness swells and falls; the second channel is another one."""
    samples = []
    phases = [0.0] * channels
    for i in range(round(rate * SECONDS)):
        at = i / rate
        for channel in range(channels):
            pitch = 110 + 60 * channel + 30 * math.sin(9 * at)
            phases[channel] += pitch / rate
            harmonics = int(min(3800, rate * 0.4) / pitch)
            buzz = sum(math.cos(2 * math.pi * k * phases[channel]) / k for k in range(1, harmonics))
            samples.append(round(4000 * buzz * math.sin(math.pi * at / SECONDS)))
    return samples


def ffmpeg(arguments, data):
    command = ["ffmpeg", "-v", "error", *arguments, "-"]
    return subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout


def packets_of(ogg):
    """The packets of an Ogg stream without the two that head it."""
    packets, packet = [], b""
    while ogg:
        count = ogg[26]
        sizes, body = ogg[27 : 27 + count], ogg[27 + count :]
        for size in sizes:
            packet, body = packet + body[:size], body[size:]
            if size < 255:
                packets.append(packet)
                packet = b""
        ogg = body
    return packets[2:]


def crc(data):
    value = 0
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = value << 1 ^ (0x104C11DB7 if value & 0x80000000 else 0)
    return value


def ogg_of(packets, channels, ptime_ms):
    """An Ogg stream of the packets, one a page, none of whose samples are to be skipped."""
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, channels, 0, 48_000, 0, 0)
    tags = b"OpusTags" + struct.pack("<II", 0, 0)
    stream = b""
    for number, packet in enumerate([head, tags, *packets]):
        sizes = bytes([255] * (len(packet) // 255) + [len(packet) % 255])
        flags = 2 if number == 0 else 4 if number == len(packets) + 1 else 0
        samples = 48 * ptime_ms * max(0, number - 1)
        page = struct.pack("<4sBBqIII", b"OggS", 0, flags, samples, 1, number, 0) + bytes([len(sizes)]) + sizes + packet
        stream += page[:22] + struct.pack("<I", crc(page)) + page[26:]
    return stream


def show(name, who, packets, ptime_ms, channels=1):
    arguments = ["-c:a", "opus", "-f", "ogg", "-i", "-", "-f", "s16le"]
    raw = ffmpeg(arguments, ogg_of(packets, channels, ptime_ms))
    samples = struct.unpack(f"<{len(raw) // 2}h", raw)
    mean = [sum(samples[i : i + channels]) // channels for i in range(0, len(samples), channels)]
    assert abs(len(mean) - 48_000 * SECONDS) < 4_000, (name, len(mean))
    some = mean[::EVERY]
    print(name, who, ",".join(p.hex() for p in packets), struct.pack(f">{len(some)}h", *some).hex())


for name, rate, channels, ptime_ms, options in [
    ("wideband", 16_000, 1, 20, ["-application", "voip", "-b:a", "24k", "-fec", "1", "-packet_loss", "10"]),
    ("narrowband_40ms", 8_000, 1, 40, ["-application", "voip", "-b:a", "12k"]),
    ("fullband", 48_000, 1, 20, ["-application", "audio", "-b:a", "64k"]),
    ("low_delay_5ms", 48_000, 1, 5, ["-application", "lowdelay", "-b:a", "64k"]),
    ("stereo_60ms", 48_000, 2, 60, ["-application", "audio", "-b:a", "64k"]),
    ("stereo_voip", 16_000, 2, 20, ["-application", "voip", "-b:a", "28k"]),
]:
    samples = speech_like(rate, channels)
    arguments = ["-f", "s16le", "-ar", str(rate), "-ac", str(channels), "-i", "-", "-c:a", "libopus"]
    arguments += ["-frame_duration", str(ptime_ms), *options, "-f", "ogg"]
    ogg = ffmpeg(arguments, struct.pack(f"<{len(samples)}h", *samples))
    show(name, "ffmpeg", packets_of(ogg), ptime_ms, channels)

for rate, ptime_ms in [(8_000, 20), (12_000, 40), (16_000, 20), (16_000, 60), (24_000, 20), (48_000, 10)]:
    samples = speech_like(rate)
    size = rate * ptime_ms // 1000
    # ffmpeg 5.1's own decoder does not get past copies in frames of more than 20 ms; libopus does.
    encoder = talkpath.Encoder("opus", rate, fec=ptime_ms <= 20)
    frames = [samples[i : i + size] for i in range(0, len(samples) - size + 1, size)]
    packets = [encoder.encode(struct.pack(f"<{size}h", *frame)) for frame in frames]
    show(f"{rate}_{ptime_ms}ms", "talkpath", packets, ptime_ms)
