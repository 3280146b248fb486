"""Writes g722.txt: what spandsp and ffmpeg make of a few short streams and a few long ones.

Needs spandsp's library (Debian: libspandsp2) and ffmpeg: ``python3 make_g722.py > g722.txt``. SPANDSP names the library
if the loader does not find it.

The short streams are written out, one line each: ``<name> encode <samples> <bytes>`` and
``<name> decode <bytes> <samples>``, in hexadecimal, samples as 16-bit big-endian. The long ones are made from a seed
and given by what comes out:
``<name> decode_long <seed> <mask> <count> <FNV-1a of the samples>``.

Bytes are spandsp's. Samples are ffmpeg's, and were compared with spandsp's: they are the same, except that spandsp lets
a sample beyond 16 bits wrap round where ffmpeg (and the recommendation) limits it, which only made-up streams bring
about.
"""

import ctypes
import math
import os
import struct
import subprocess

spandsp = ctypes.CDLL(os.environ.get("SPANDSP", "libspandsp.so.2"))
spandsp.g722_encode_init.restype = spandsp.g722_decode_init.restype = ctypes.c_void_p


def encode(samples):
    state = ctypes.c_void_p(spandsp.g722_encode_init(None, 64000, 0))
    out = ctypes.create_string_buffer(len(samples) // 2)
    data = (ctypes.c_int16 * len(samples))(*samples)
    assert spandsp.g722_encode(state, out, data, len(samples)) == len(out)
    return out.raw


def decode(data):
    state = ctypes.c_void_p(spandsp.g722_decode_init(None, 64000, 0))
    out = (ctypes.c_int16 * (2 * len(data)))()
    assert spandsp.g722_decode(state, out, data, len(data)) == len(out)
    command = ["ffmpeg", "-v", "error", "-f", "g722", "-i", "-", "-f", "s16le", "-"]
    raw = subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout
    samples = struct.unpack(f"<{len(out)}h", raw)
    for ours, theirs in zip(samples, out, strict=False):
        assert ours == theirs or ours in (-32768, 32767), (ours, theirs)
    return samples


def random_bytes(seed, mask, count):
    state = seed
    out = bytearray()
    for _ in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        out.append(state >> 56 & mask)
    return bytes(out)


def sweep(count, amplitude):
    return [round(amplitude * math.sin(0.9 * math.pi * i * i / 2 / count)) for i in range(count)]


def speech_like(count):
    """A buzz whose loudness swells and falls, over a little noise."""
    noise = random_bytes(7, 255, count)
    buzz = [sum(math.cos(2 * math.pi * 110 * k * i / 16000) / k for k in range(1, 60)) for i in range(count)]
    return [
        round(4000 * b * math.sin(math.pi * i / count) ** 2 + (n - 128) / 4)
        for i, (b, n) in enumerate(zip(buzz, noise, strict=False))
    ]


def fnv(samples):
    digest = 0xCBF29CE484222325
    for byte in struct.pack(f">{len(samples)}h", *samples):
        digest = (digest ^ byte) * 0x100000001B3 % 2**64
    return digest


def hexadecimal(samples):
    return struct.pack(f">{len(samples)}h", *samples).hex()


for name, samples in {
    "sweep": sweep(1600, 16000),
    "quiet": sweep(640, 40),
    "buzz": speech_like(1600),
    "silence": [0] * 64,
}.items():
    data = encode(samples)
    print(name, "encode", hexadecimal(samples), data.hex())
    print(name, "decode", data.hex(), hexadecimal(decode(data)))

data = random_bytes(1, 255, 400)
print("any", "decode", data.hex(), hexadecimal(decode(data)))
for seed, mask in enumerate([0xFF, 0xDF, 0x3F, 0xC0, 0xE4], start=2):
    print(
        f"any_{mask:02x}", "decode_long", seed, mask, 200_000, f"{fnv(decode(random_bytes(seed, mask, 200_000))):016x}"
    )
