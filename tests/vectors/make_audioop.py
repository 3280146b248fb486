"""Writes audioop.txt: what CPython's audioop answers to fragments that ``tests/audioop.rs`` makes likewise.

Run it under a Python that still has audioop: ``python3.12 -W ignore make_audioop.py > audioop.txt``.

One line a fragment and group of functions; bytes are shown as their length and FNV-1a hash, doubles as
their bits. Six answers of ``ratecv`` (one pair of rates) are hashed together.
"""

import audioop
import struct


class Random:
    """A linear congruential generator: simple enough to be the same in every language."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        self.state = (self.state * 1664525 + 1013904223) % 2**32
        return self.state >> 16


def fragment(kind, width, count):
    """Makes ``count`` samples: over the whole range, on its edges, or a slow walk around zero."""
    random = Random(width * 1000 + count)
    top = 2 ** (8 * width - 1)
    samples = []
    value = 0
    for _ in range(count):
        if kind == "noise":
            value = (random.next() << 16 | random.next()) % (2 * top) - top
        elif kind == "edges":
            value = [-top, top - 1, 0, -1, 1][random.next() % 5]
        else:
            value = max(-100, min(100, value + random.next() % 7 - 3))
        samples.append(value.to_bytes(width, "little", signed=True))
    return b"".join(samples)


def show(value):
    if isinstance(value, bytes):
        digest = 0x811C9DC5
        for byte in value:
            digest = (digest ^ byte) * 0x01000193 % 2**32
        return f"{len(value)}:{digest:08x}"
    if isinstance(value, float):
        return "nan" if value != value else struct.pack(">d", value).hex()
    if isinstance(value, tuple):
        return "(" + ",".join(map(show, value)) + ")"
    return str(value)


def answer(function, *args):
    try:
        return show(function(*args))
    except (audioop.error, ValueError) as error:
        return str(error)


def line(group, kind, width, count, *answers):
    print(f"{group} {kind} {width} {count}: " + "; ".join(answers))


FACTORS = [0.0, 1.0, -1.0, 0.5, -0.37, 1.9, 1e300, float("inf"), float("nan")]
RATES = [(8000, 8000), (8000, 16000), (16000, 8000), (8000, 11025), (44100, 8000), (3, 7), (7, 2)]

for kind in ("noise", "edges", "walk"):
    for width in (1, 2, 3, 4):
        for count in (0, 1, 7, 500):
            data = fragment(kind, width, count)
            other = fragment("noise", width, count)
            line(
                "measure",
                kind,
                width,
                count,
                *(
                    answer(function, data, width)
                    for function in (
                        audioop.max,
                        audioop.minmax,
                        audioop.avg,
                        audioop.rms,
                        audioop.avgpp,
                        audioop.maxpp,
                        audioop.cross,
                    )
                ),
                *(answer(audioop.getsample, data, width, index) for index in (0, 1, count - 1, count, -1)),
            )
            line(
                "convert",
                kind,
                width,
                count,
                *(
                    answer(function, data, width)
                    for function in (
                        audioop.reverse,
                        audioop.byteswap,
                        audioop.lin2ulaw,
                        audioop.lin2alaw,
                        audioop.ulaw2lin,
                        audioop.alaw2lin,
                    )
                ),
                answer(audioop.add, data, other, width),
                answer(audioop.add, data, data[width:], width),
                *(answer(audioop.lin2lin, data, width, new) for new in (1, 2, 3, 4)),
                *(answer(audioop.bias, data, width, bias) for bias in (0, 1, -1, 12345, -(2**31), 2**31 - 1)),
            )
            line(
                "scale",
                kind,
                width,
                count,
                *(answer(audioop.mul, data, width, factor) for factor in FACTORS),
                *(answer(audioop.tomono, data, width, factor, 0.7) for factor in FACTORS),
                *(answer(audioop.tostereo, data, width, factor, -0.7) for factor in FACTORS),
            )
            coded = audioop.lin2adpcm(data, width, None)
            line(
                "adpcm",
                kind,
                width,
                count,
                show(coded),
                answer(audioop.lin2adpcm, data, width, coded[1]),
                answer(audioop.lin2adpcm, data, width, (-32768, 88)),
                answer(audioop.adpcm2lin, data, width, None),
                answer(audioop.adpcm2lin, coded[0], width, (32767, 40)),
            )
            answers = []
            for rates in RATES:
                for channels in (1, 2, 3):
                    half = len(data) // (width * channels) // 2 * width * channels
                    for weights in ((1, 0), (3, 5)):
                        try:
                            first, state = audioop.ratecv(data[:half], width, channels, *rates, None, *weights)
                            rest, state = audioop.ratecv(data[half:], width, channels, *rates, state, *weights)
                            answers.append(show((first, rest, state)))
                        except audioop.error as error:
                            answers.append(str(error))
            hashed = (show("; ".join(answers[at : at + 6]).encode()) for at in range(0, 42, 6))
            line("ratecv", kind, width, count, *hashed)
    for count, piece in ((0, 0), (5, 0), (5, 5), (5, 6), (300, 40), (300, 1)):
        data = fragment(kind, 2, count)
        reference = fragment(kind, 2, 900)[120 : 120 + 2 * piece]
        line(
            "fit",
            kind,
            2,
            count,
            answer(audioop.findfit, data, reference),
            answer(audioop.findfit, data, data[len(data) // 4 * 2 :]),
            answer(audioop.findfit, data + b"x", reference),
            answer(audioop.findfactor, data, reference),
            answer(audioop.findfactor, data, fragment("walk", 2, count)),
            answer(audioop.findmax, data, piece),
            answer(audioop.findmax, data, -1),
        )

REFUSED = [
    answer(audioop.max, b"", 0),
    answer(audioop.max, b"", 5),
    answer(audioop.max, b"abc", 2),
    answer(audioop.tomono, b"abcd", 4, 1, 1),
    answer(audioop.ratecv, b"", 2, 0, 1, 1, None),
    answer(audioop.ratecv, b"", 2, 1, 1, 1, None, 0),
    answer(audioop.ratecv, b"", 2, 1, 1, 1, None, 1, -1),
    answer(audioop.ratecv, b"ab", 2, 2, 1, 1, None),
    answer(audioop.ratecv, b"", 2, 1, 0, 1, None),
    answer(audioop.ratecv, b"", 2, 1, 1, -1, None),
    answer(audioop.ratecv, b"", 2, 1, 1, 1, (-1, ())),
    answer(audioop.lin2adpcm, b"", 2, (32768, 0)),
    answer(audioop.adpcm2lin, b"", 2, (0, 89)),
    answer(audioop.adpcm2lin, b"", 2, (-32769, 0)),
    answer(audioop.lin2adpcm, b"", 2, (0, -1)),
]
line("refused", "-", 0, 0, *REFUSED)
