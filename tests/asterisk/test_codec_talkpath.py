"""`codec_talkpath` in a real Asterisk: what it makes of a call is what talkpath makes of it, to the bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import talkpath
from caller import Caller, Tap
from debian import Tree
from opus_phone import OpusPhone, decode, encode
from pbx import CONFIGURATION, Pbx, Ports
from speech import Samples, match

Prompt = Callable[[str, int], Samples]
Figure = Callable[[str], None]

MODULE = "codec_talkpath"
SLIN = {8000: "slin", 12000: "slin12", 16000: "slin16", 24000: "slin24", 48000: "slin48"}


@pytest.fixture(scope="module")
def transcoder(
    tree: Tree, build_module: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pbx]:
    """An Asterisk with the module."""
    folder = tmp_path_factory.mktemp("codec") / "run"
    with Pbx(tree, folder, Ports.choose(), [build_module(MODULE)], [CONFIGURATION / MODULE]) as running:
        yield running


def counted(pbx: Pbx, translator: str) -> dict[str, int]:
    """Returns what one translator has counted."""
    lines = pbx.command("talkpath show translators").splitlines()
    row = next(line for line in lines if line.startswith(f"{translator} ")).split()
    names = ("cost", "streams", "so far", "packets", "concealed", "recovered", "late", "refused")
    return dict(zip(names, map(int, row[2:]), strict=True))


@contextmanager
def call(pbx: Pbx, tap: Tap, folder: Path, rate: int, attributes: str = "") -> Iterator[tuple[OpusPhone, Caller]]:
    """A call between a telephone that speaks Opus and the test, which is handed signed linear."""
    pbx.send_calls_to(tap.port)
    with OpusPhone(pbx, SLIN[rate], folder, attributes) as phone, tap.accept(rate) as other:
        yield phone, other


# --- Opus, either way


@pytest.mark.parametrize(("rate", "ptime_ms"), [(8000, 20), (16000, 20), (16000, 60), (24000, 20), (48000, 20)])
def test_opus_becomes_what_it_decodes_to(
    transcoder: Pbx, tap: Tap, prompt: Prompt, tmp_path: Path, figure: Figure, rate: int, ptime_ms: int
) -> None:
    said = prompt("demo-congrats", 16000)[: 3 * 16000]
    packets = encode(said, 16000, ptime_ms)
    wanted = decode(packets, rate)
    with call(transcoder, tap, tmp_path, rate) as (phone, other):
        phone.speak(packets, ptime_ms)
        other.wait_until(lambda: sum(frame.samples.size for frame in other.heard) >= wanted.size)
    assert {frame.samples.size for frame in other.heard} == {rate // 50}
    heard = other.all_heard()
    assert np.array_equal(heard, wanted)
    if rate == 16000:
        found = match(said, heard)
        figure(f"opus to slin16, packets of {ptime_ms} ms: correlation with what was said {found.correlation:.4f}")
        assert found.correlation >= 0.92


@pytest.mark.parametrize("rate", [8000, 12000, 16000, 24000, 48000])
def test_signed_linear_becomes_opus(
    transcoder: Pbx, tap: Tap, prompt: Prompt, tmp_path: Path, figure: Figure, rate: int
) -> None:
    wide = prompt("demo-congrats", 16000)[: 3 * 16000]
    said = np.frombuffer(talkpath.resample(wide.tobytes(), 16000, rate), np.int16)
    translator = f"talkpath_{SLIN[rate]}_to_opus"
    before = counted(transcoder, translator)
    with call(transcoder, tap, tmp_path, rate) as (phone, other):
        other.say(np.zeros(rate // 2, np.int16))
        other.say(said)
        other.wait_until_said(and_ms=300)
    found = match(said, decode(phone.packets(), rate))
    alone = match(said, decode(encode(said, rate), rate))
    figure(f"{SLIN[rate]} to opus: correlation {found.correlation:.4f}, of talkpath alone {alone.correlation:.4f}")
    assert found.correlation >= alone.correlation - 0.01
    after = counted(transcoder, translator)
    assert after["packets"] - before["packets"] >= 175
    assert after["streams"] == before["streams"]


def test_what_is_asked_for_in_sdp_is_done(transcoder: Pbx, tap: Tap, prompt: Prompt, tmp_path: Path) -> None:
    said = prompt("demo-congrats", 16000)[: 2 * 16000]
    with call(transcoder, tap, tmp_path, 16000, "maxaveragebitrate=12000;cbr=1;maxplaybackrate=8000") as (
        phone,
        other,
    ):
        other.say(said)
        other.wait_until_said(and_ms=100)
    packets = phone.packets()
    # 12,000 bit/s for 20 ms, and narrowband speech (RFC 6716, section 3.1).
    assert {len(packet) for packet in packets} == {30}
    assert {packet[0] >> 3 for packet in packets} <= {0, 1, 2, 3}


# --- loss


def test_lost_packets_are_found_or_made_up(
    transcoder: Pbx, tap: Tap, prompt: Prompt, tmp_path: Path, figure: Figure
) -> None:
    said = prompt("demo-congrats", 16000)[: 4 * 16000]
    whole = encode(said, 16000)
    # Single ones, and two in a row.
    sent = [None if n % 11 == 5 or n % 37 in (20, 21) else packet for n, packet in enumerate(whole)]
    sent[-1] = whole[-1]
    lost = sum(packet is None for packet in sent)
    wanted = decode(sent, 16000)
    before = counted(transcoder, "talkpath_opus_to_slin16")
    with call(transcoder, tap, tmp_path, 16000) as (phone, other):
        phone.speak(sent)
        other.wait_until(lambda: sum(frame.samples.size for frame in other.heard) >= wanted.size)
    heard = other.all_heard()
    assert heard.size == len(whole) * 320
    assert np.array_equal(heard, wanted)
    after = counted(transcoder, "talkpath_opus_to_slin16")
    recovered, concealed = (after[name] - before[name] for name in ("recovered", "concealed"))
    assert recovered + concealed == lost
    assert recovered > lost // 2

    intact = decode(whole, 16000)
    silenced = intact.copy()
    for n, packet in enumerate(sent):
        if packet is None:
            silenced[n * 320 : (n + 1) * 320] = 0
    kept, dropped = match(intact, heard).correlation, match(intact, silenced).correlation
    figure(f"{lost} of {len(sent)} packets lost, {recovered} found: correlation {kept:.4f}, with silence {dropped:.4f}")
    assert 1 - kept < (1 - dropped) / 2


def test_what_comes_late_is_not_heard_twice(transcoder: Pbx, tap: Tap, prompt: Prompt, tmp_path: Path) -> None:
    whole = encode(prompt("demo-congrats", 16000)[: 2 * 16000], 16000)
    # As the network has it: the 41st packet comes after the 42nd. Asterisk plays what comes, so the 41st is made up.
    lost = [None if n == 40 else packet for n, packet in enumerate(whole)]
    wanted = decode(lost, 16000)
    with call(transcoder, tap, tmp_path, 16000) as (phone, other):
        phone.speak(whole, late=40)
        other.wait_until(lambda: sum(frame.samples.size for frame in other.heard) >= wanted.size)
    assert np.array_equal(other.all_heard(), wanted)


# --- beside Asterisk's own translators


@pytest.mark.parametrize("coded", ["ulaw", "alaw", "g722"])
def test_it_translates_as_the_built_in_ones_do(
    transcoder: Pbx, prompt: Prompt, tmp_path: Path, figure: Figure, coded: str
) -> None:
    slin = "sln16" if coded == "g722" else "sln"
    every = np.arange(-32768, 32768).astype(np.int16)
    said = prompt("demo-congrats", 16000) if coded == "g722" else np.concatenate([every, prompt("demo-congrats", 8000)])
    (tmp_path / f"said.{slin}").write_bytes(said.tobytes())

    def translate(name: str) -> tuple[bytes, bytes]:
        transcoder.command(f"file convert {tmp_path}/said.{slin} {tmp_path}/{name}.{coded}")
        # Back from the same, so that each direction is compared for itself.
        transcoder.command(f"file convert {tmp_path}/theirs.{coded} {tmp_path}/{name}.{slin}")
        return (tmp_path / f"{name}.{coded}").read_bytes(), (tmp_path / f"{name}.{slin}").read_bytes()

    theirs = translate("theirs")
    translators = [f"talkpath_{coded}_to_{'slin16' if coded == 'g722' else 'slin'}"]
    translators.append("_".join(reversed(translators[0].removeprefix("talkpath_").split("_to_"))))
    before = counted(transcoder, translators[0])["so far"]
    transcoder.unload_module(f"codec_{coded}.so")
    try:
        ours = translate("ours")
    finally:
        transcoder.load_module(f"codec_{coded}.so")
    assert counted(transcoder, translators[0])["so far"] == before + 1

    assert len(ours[0]) == len(theirs[0]) == said.size // (2 if coded == "g722" else 1)
    differing = np.flatnonzero(np.frombuffer(ours[0], np.uint8) != np.frombuffer(theirs[0], np.uint8))
    figure(
        f"{coded}: {differing.size} of {len(ours[0])} bytes encoded otherwise; decoded equally: {ours[1] == theirs[1]}"
    )
    assert ours[1] == theirs[1]


# --- the module


def test_it_loads_unloads_and_reloads(transcoder: Pbx) -> None:
    since, paths = len(transcoder.log()), "core show translation paths opus 48000"
    for _ in range(2):
        transcoder.unload_module(f"{MODULE}.so")
        assert "->(slin@16000)" not in transcoder.command(paths)
        transcoder.load_module(f"{MODULE}.so")
        transcoder.reload_module(f"{MODULE}.so")
        assert "(opus@48000)->(slin@16000)" in transcoder.command(paths)
    assert counted(transcoder, "talkpath_opus_to_slin48")["streams"] == 0
    assert transcoder.complaints(since) == []
