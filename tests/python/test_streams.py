"""Encoder and Decoder: one stream each way in any codec, and what a decoder does about losses."""

from __future__ import annotations

import array
import math

import pytest

import talkpath


def voice(rate: int, seconds: float) -> array.array[int]:
    """A buzz at 120 Hz that comes and goes three times a second."""
    return array.array(
        "h",
        (
            int(
                5_000
                * abs(math.sin(9.4 * n / rate))
                * sum(math.cos(math.tau * 120 * k * n / rate) / k for k in range(1, 12))
            )
            for n in range(int(rate * seconds))
        ),
    )


def frames(samples: array.array[int], rate: int, ptime_ms: int = 20) -> list[array.array[int]]:
    length = rate * ptime_ms // 1_000
    return [samples[i : i + length] for i in range(0, len(samples) - length + 1, length)]


def error_db(got: bytes, wanted: bytes) -> float:
    """The energy of what `got` differs from `wanted` by, against that of `wanted`."""
    pairs = list(zip(array.array("h", got), array.array("h", wanted), strict=True))
    return 10 * math.log10(sum((g - w) ** 2 for g, w in pairs) / sum(w**2 for _, w in pairs))


@pytest.mark.parametrize(("codec", "rate"), [("ulaw", 8_000), ("alaw", 8_000), ("slin", 48_000), ("slin_be", 16_000)])
def test_a_stateless_stream_is_what_the_functions_are(codec: str, rate: int) -> None:
    samples = voice(rate, 0.02)
    encoder, decoder = talkpath.Encoder(codec, rate), talkpath.Decoder(codec, rate)
    wire = encoder.encode(samples)
    assert wire == talkpath.encode(samples, codec)
    assert decoder.decode(wire) == talkpath.decode(wire, codec)
    assert (encoder.codec, encoder.rate, decoder.codec, decoder.rate) == (codec, rate, codec, rate)
    assert not decoder.is_stateful
    assert decoder.conceal(160) is None
    assert decoder.recover(wire, 160) is None
    decoder.resync(samples)


def test_g722_keeps_its_state_from_frame_to_frame() -> None:
    samples = voice(16_000, 0.4)
    whole = talkpath.Encoder("g722", 16_000).encode(samples)
    encoder, decoder = talkpath.Encoder("g722", 16_000), talkpath.Decoder("g722", 16_000)
    packets = [encoder.encode(frame) for frame in frames(samples, 16_000)]
    assert b"".join(packets) == whole
    assert {len(packet) for packet in packets} == {160}
    heard = b"".join(decoder.decode(packet) for packet in packets)
    assert error_db(heard[44:], samples.tobytes()[:-44]) < -20, "22 samples late"
    assert decoder.is_stateful
    decoder.reset()
    encoder.reset()
    assert encoder.encode(samples) == whole
    assert decoder.decode(whole) == heard


def test_a_resynced_g722_decoder_is_nearer_to_the_truth() -> None:
    samples = voice(16_000, 0.4)
    encoder = talkpath.Encoder("g722", 16_000)
    packets = [encoder.encode(frame) for frame in frames(samples, 16_000)]
    truth = talkpath.Decoder("g722", 16_000)
    heard = [truth.decode(packet) for packet in packets]

    def after_the_gap(resync: bool) -> float:
        decoder = talkpath.Decoder("g722", 16_000)
        for packet in packets[:9]:
            decoder.decode(packet)
        assert decoder.conceal(320) is None
        if resync:
            decoder.resync(heard[9])
        return error_db(decoder.decode(packets[10]), heard[10])

    assert after_the_gap(resync=True) < after_the_gap(resync=False) - 6


@pytest.mark.parametrize("rate", [8_000, 12_000, 16_000, 24_000, 48_000])
@pytest.mark.parametrize("ptime_ms", [10, 20, 40, 60])
def test_opus_carries_frames_of_any_length_at_any_rate(rate: int, ptime_ms: int) -> None:
    encoder, decoder = talkpath.Encoder("opus", rate), talkpath.Decoder("opus", rate)
    for frame in frames(voice(rate, 0.24), rate, ptime_ms):
        packet = encoder.encode(frame)
        assert 8 < len(packet) < 330
        assert len(decoder.decode(packet)) == 2 * len(frame)
    assert repr(decoder) == f"<talkpath.Decoder opus at {rate} Hz>"


def test_opus_makes_up_for_what_got_lost() -> None:
    encoder, truth = talkpath.Encoder("opus", 16_000), talkpath.Decoder("opus", 16_000)
    packets = [encoder.encode(frame) for frame in frames(voice(16_000, 1), 16_000)]
    heard = [truth.decode(packet) for packet in packets]
    concealing, recovering = talkpath.Decoder("opus", 16_000), talkpath.Decoder("opus", 16_000)
    for packet in packets[:20]:
        concealing.decode(packet)
        recovering.decode(packet)
    concealed = concealing.conceal(320)
    recovered = recovering.recover(packets[21], 320)
    assert concealed is not None
    assert recovered is not None
    assert len(concealed) == len(recovered) == 640
    assert error_db(recovered, heard[20]) < -6
    # Less than a packet lost, or a packet without a copy: nothing to recover.
    assert recovering.recover(packets[21], 160) is None
    bare = talkpath.Encoder("opus", 16_000, fec=False)
    assert [bare.encode(frame) for frame in frames(voice(16_000, 0.1), 16_000)][-1]
    assert recovering.recover(bare.encode(voice(16_000, 0.02)), 320) is None


def test_the_options_of_opus_are_heeded() -> None:
    samples = frames(voice(16_000, 1), 16_000)

    def size(**options: int | bool) -> int:
        encoder = talkpath.Encoder("opus", 16_000, **options)
        return sum(len(encoder.encode(frame)) for frame in samples)

    assert size(bitrate=12_000) < size() < size(bitrate=48_000)
    assert size(complexity=0, packet_loss=0) != size(complexity=10, packet_loss=0)
    silent = talkpath.Encoder("opus", 16_000, dtx=True)
    assert min(len(silent.encode(bytes(640))) for _ in range(50)) <= 2
    constant = talkpath.Encoder("opus", 16_000, cbr=True)
    assert {len(constant.encode(frame)) for frame in samples} == {80}
    narrow = talkpath.Encoder("opus", 16_000, max_playback_rate=8_000)
    # The packet's bandwidth is that of narrowband speech (RFC 6716, section 3.1).
    assert {narrow.encode(frame)[0] >> 3 for frame in samples} <= {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("codec", "rate", "options", "named"),
    [
        ("opus", 44_100, {}, "44100 Hz"),
        ("opus", 8_001, {}, "8001 Hz"),
        ("g722", 8_000, {}, "16000 Hz"),
        ("g729", 8_000, {}, "g729"),
        ("opus", 16_000, {"bitrate": 1}, "bitrate 1, wanted 6000"),
        ("opus", 16_000, {"complexity": 11}, "complexity 11"),
        ("opus", 16_000, {"packet_loss": 101}, "packet loss 101 %"),
        ("opus", 16_000, {"max_playback_rate": 1}, "1"),
        ("ulaw", 8_000, {"dtx": False}, "dtx for ulaw"),
    ],
)
def test_what_a_codec_does_not_have_is_refused(codec: str, rate: int, options: dict[str, int], named: str) -> None:
    with pytest.raises(talkpath.InvalidArgument, match=named):
        talkpath.Encoder(codec, rate, **options)


def test_what_is_no_packet_is_refused() -> None:
    decoder = talkpath.Decoder("opus", 16_000)
    with pytest.raises(talkpath.InvalidArgument, match="opus packet of 0 bytes"):
        decoder.decode(b"")
    with pytest.raises(talkpath.InvalidArgument, match="opus packet of 4 bytes"):
        decoder.decode(b"\x01abc")
    with pytest.raises(talkpath.InvalidArgument, match="160001 lost samples"):
        decoder.conceal(160_001)
    with pytest.raises(talkpath.InvalidArgument, match="321 samples at 16000 Hz"):
        talkpath.Encoder("opus", 16_000).encode(bytes(642))
    with pytest.raises(talkpath.InvalidArgument, match="3 samples to encode as g722"):
        talkpath.Encoder("g722", 16_000).encode(bytes(6))
    assert decoder.recover(b"\x01abc", 320) is None
