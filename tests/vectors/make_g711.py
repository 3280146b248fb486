"""Writes g711.txt: what CPython's audioop makes of every 16-bit sample and of every G.711 byte.

Run it under a Python that still has audioop (3.11 or 3.12): ``python3.12 -W ignore make_g711.py > g711.txt``.

One line a value: ``<law> decode <byte> <sample>`` for all 256 bytes, and ``<law> encode <sample> <byte>`` for the first
sample of each run of equal bytes, counting up from -32768. The runs cover all 65,536 samples.
"""

import audioop
import struct

LAWS = {
    "ulaw": (audioop.ulaw2lin, audioop.lin2ulaw),
    "alaw": (audioop.alaw2lin, audioop.lin2alaw),
}

for law, (decode, encode) in LAWS.items():
    for byte, sample in enumerate(struct.unpack("=256h", decode(bytes(range(256)), 2))):
        print(law, "decode", byte, sample)
    samples = range(-32768, 32768)
    last = None
    for sample, byte in zip(samples, encode(struct.pack("=65536h", *samples), 2), strict=True):
        if byte != last:
            print(law, "encode", sample, byte)
        last = byte
