"""`talkpath simulate`: plays a packet trace through the jitter buffer, in no time, and draws what is heard of it."""

import math
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from talkpath._talkpath import JitterBuffer
from talkpath.cli import timeline, trace
from talkpath.cli.console import console, print_json, refuse
from talkpath.cli.timeline import Slice
from talkpath.cli.trace import CODECS, PTIME_MS, Trace
from talkpath.cli.wav import Audio, read_wav, write_wav
from talkpath.testing import Network


def simulate(
    file: Annotated[
        Path | None, typer.Argument(help="A trace (.csv), or speech (.wav) for --impair; recorded speech by default.")
    ] = None,
    impair: Annotated[
        str | None, typer.Option(help="Make the trace: loss=5%,burst=2,jitter=40ms,reorder=1%,dup=0.5%,seed=7.")
    ] = None,
    codec: Annotated[str, typer.Option(help="What the packets carry: ulaw, alaw, g722, opus, slin16, …")] = "ulaw",
    playout: Annotated[str, typer.Option(help="adaptive, adaptive:20-200ms, fixed:60ms, asap:40ms.")] = "adaptive",
    out: Annotated[Path | None, typer.Option(help="Where to write what is heard, as WAV.")] = None,
    write_trace: Annotated[Path | None, typer.Option(help="Where to write the trace that was made, as CSV.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print figures and timeline as JSON on stdout.")] = False,
) -> None:
    """Play a packet trace through the jitter buffer: delay, loss and concealment over time.

    TRACE.csv has a line of column names, then one packet a line: arrival_ms, sequence, timestamp and, if there are,
    marker, ssrc, size, payload (hexadecimal).
    """
    if codec not in CODECS:
        refuse(f"codec {codec!r}, wanted one of {', '.join(CODECS)}")
    packets = _trace(file, impair, codec)
    if write_trace is not None:
        trace.write(write_trace, packets)
    heard = play(packets, playout)
    if out is not None:
        write_wav(out, heard.audio)
    summary = heard.summary() | {"codec": codec, "playout": heard.buffer.playout}
    if impair is not None:
        summary["impair"] = Network(impair).impair
    if as_json:
        print_json(summary | {"timeline": [asdict(it) for it in heard.slices(1000.0)]})
    _show(summary, heard)


@dataclass(slots=True)
class Heard:
    """What came out of a buffer, frame by frame, and what it said meanwhile."""

    buffer: JitterBuffer
    network_ms: list[tuple[float, float]] = field(default_factory=list)
    """Each packet's arrival, and how much later than the fastest it was."""
    missing: list[tuple[float, int]] = field(default_factory=list)
    """When how many packets were found to be missing, or fewer than thought."""
    late: list[float] = field(default_factory=list)
    """When a packet came too late."""
    frames: list[tuple[float, str, float]] = field(default_factory=list)
    """When each frame was played, what it was made of, and the delay of playout then."""
    pcm: bytearray = field(default_factory=bytearray)

    @property
    def is_asap(self) -> bool:
        """Whether it plays at once what comes, without a clock."""
        return self.buffer.playout.startswith("asap")

    @property
    def audio(self) -> Audio:
        """All that was heard."""
        return Audio(bytes(self.pcm), self.buffer.rate)

    def slices(self, slice_ms: float) -> list[Slice]:
        """The same by stretches of time."""
        last = max([self.frames[-1][0] if self.frames else 0.0, *(at for at, _ in self.network_ms[-1:])])
        slices = [Slice(index * slice_ms) for index in range(int(last // slice_ms) + 1)]
        for at, delay in self.network_ms:
            it = slices[int(at // slice_ms)]
            it.packets += 1
            it.network_ms = max(it.network_ms, delay)
        for at, count in self.missing:
            slices[int(at // slice_ms)].lost += count
        for at in self.late:
            slices[int(at // slice_ms)].late += 1
        for at, kind, delay in self.frames:
            it = slices[int(at // slice_ms)]
            it.frames += 1
            it.playout_ms = max(it.playout_ms, delay)
            it.concealed += kind == "concealed"
            it.inserted += kind == "inserted"
        return slices

    def summary(self) -> dict[str, Any]:
        """The figures of the whole."""
        kinds = [kind for _, kind, _ in self.frames]
        # With `asap` there is no playout clock that audio could be late for.
        delays = sorted(delay for _, kind, delay in self.frames if kind == "audio" and not self.is_asap)
        stats = self.buffer.stats()
        names = ("packets", "packets_lost", "packets_late", "packets_duplicate", "packets_malformed", "restarts")
        summary: dict[str, Any] = {name: stats[name] for name in names}
        summary |= {f"frames_{kind}": kinds.count(kind) for kind in ("audio", "concealed", "inserted", "rest")}
        per_ms = self.buffer.rate / 1000
        summary["removed_ms"] = stats["samples_removed"] / per_ms
        summary["discarded_ms"] = stats["samples_discarded"] / per_ms
        summary["delay_mean_ms"] = sum(delays) / len(delays) if delays else None
        summary["delay_p95_ms"] = delays[math.ceil(0.95 * len(delays)) - 1] if delays else None
        network = sorted(delay for _, delay in self.network_ms)
        summary["network_p95_ms"] = network[math.ceil(0.95 * len(network)) - 1]
        return summary | {name: stats[name] for name in ("jitter_ms", "burst_ms", "gap_ms", "r_factor", "mos")}


def play(packets: Trace, playout: str) -> Heard:
    """Plays a trace from its first packet on until nothing of it waits."""
    buffer = packets.buffer(playout)
    heard = Heard(buffer)
    begin = packets.packets[0].arrival_ms
    _note_network(heard, packets, begin)
    waiting = iter(packets.packets)
    packet = next(waiting, None)
    lost, until = 0, 0.0
    while packet is not None or buffer.stats()["samples_held"] > 0:
        while packet is not None and packet.arrival_ms - begin <= until:
            now = packet.arrival_ms - begin
            fate = buffer.push(
                packet.payload,
                sequence=packet.sequence,
                timestamp=packet.timestamp,
                arrival_ms=now,
                marker=packet.marker,
                ssrc=packet.ssrc,
            )
            if fate == "late":
                heard.late.append(now)
            if heard.is_asap:
                _take(heard, now)
            packet = next(waiting, None)
        _take(heard, until)
        if (known := buffer.stats()["packets_lost"]) != lost:
            heard.missing.append((until, known - lost))
            lost = known
        until += PTIME_MS
    return heard


def _take(heard: Heard, now: float) -> None:
    """Takes what is due: one frame, or with `asap` all that there is."""
    while (played := heard.buffer.poll(now)) is not None:
        pcm, kind = played
        heard.pcm += pcm
        heard.frames.append((now, kind, heard.buffer.stats()["delay_ms"]))
        if not heard.is_asap:
            return


def _note_network(heard: Heard, packets: Trace, begin: float) -> None:
    """How late each packet came: against the fastest of its source, whose timestamps may wrap around."""
    clock_ms = heard.buffer.clock_rate / 1000
    last: dict[int, int] = {}
    transits: dict[int, list[tuple[float, float]]] = {}
    for packet in packets.packets:
        before = last.get(packet.ssrc, packet.timestamp)
        ahead = (packet.timestamp - before) % 2**32
        media = before + (ahead - 2**32 if ahead >= 2**31 else ahead)
        last[packet.ssrc] = media
        at = packet.arrival_ms - begin
        transits.setdefault(packet.ssrc, []).append((at, at - media / clock_ms))
    for transit in transits.values():
        fastest = min(delay for _, delay in transit)
        heard.network_ms += [(at, delay - fastest) for at, delay in transit]
    heard.network_ms.sort()


def _trace(file: Path | None, impair: str | None, codec: str) -> Trace:
    speech = read_wav(files("talkpath").joinpath("data/question.wav"))
    if impair is not None:
        network = Network(impair)
        if file is not None and file.suffix == ".csv":
            refuse(f"{file} with --impair, wanted a .wav file: a trace has been through its network")
        return trace.make(_existing(file) if file is not None else speech, codec, network)
    if file is None:
        refuse("no trace, wanted a .csv file, or --impair to make one")
    if file.suffix == ".wav":
        refuse(f"{file} without --impair, wanted a trace (.csv), or a network for it")
    if not file.is_file():
        refuse(f"{file}: no such file")
    return trace.read(file, codec, speech)


def _existing(file: Path) -> Audio:
    if not file.is_file():
        refuse(f"{file}: no such file")
    return read_wav(file)


def _show(summary: dict[str, Any], heard: Heard) -> None:
    total_ms = max(heard.slices(PTIME_MS)[-1].at_ms, PTIME_MS)
    columns = max(20, min(console.width - 14, 400))
    slice_ms = max(float(PTIME_MS), total_ms / columns)
    console.print(timeline.draw(heard.slices(slice_ms)))
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column()
    share = 100 * summary["packets_lost"] / max(1, summary["packets"] + summary["packets_lost"])
    table.add_row(
        "packets",
        f"{summary['packets']} came, {summary['packets_lost']} lost ({share:.1f} %), "
        f"{summary['packets_late']} too late, {summary['packets_duplicate']} twice",
    )
    made_up = summary["frames_concealed"] * PTIME_MS
    stretched = f"{summary['frames_inserted'] * PTIME_MS} ms stretched, {summary['removed_ms']:.0f} ms shortened"
    table.add_row("heard", f"{made_up} ms concealed, {stretched}")
    own = "as soon as it has come"
    if summary["delay_mean_ms"] is not None:
        own = f"{summary['delay_mean_ms']:.0f} ms (p95 {summary['delay_p95_ms']:.0f} ms) over the fastest packet"
    table.add_row("delay", f"{own}; the network's p95 {summary['network_p95_ms']:.0f} ms")
    table.add_row("rating", f"R {summary['r_factor']:.0f}, MOS {summary['mos']:.2f} (G.107, this leg alone)")
    console.print(table)
