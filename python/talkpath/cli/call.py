"""`talkpath call`: plays Asterisk's part with a recording, and says how the far end did."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from talkpath._talkpath import Caller
from talkpath.cli.caller import Recorded, RoundTrip, recorded, round_trip, wait
from talkpath.cli.console import console, give_up, print_json, refuse
from talkpath.cli.trace import CODECS as RTP_CODECS
from talkpath.cli.wav import Audio, read_wav, write_wav

CODECS = {"slin": 8000, "slin12": 12000, "slin16": 16000, "slin24": 24000, "slin32": 32000, "slin44": 44100}
RTP_CODEC = "ulaw"
CODECS |= {"slin48": 48000, "slin96": 96000, "slin192": 192000}


def call(
    file: Annotated[Path, typer.Argument(help="What the caller says: a 16-bit mono WAV file.")],
    to: Annotated[
        str, typer.Option(help="The server: [audiosocket://]HOST:PORT or rtp://HOST:PORT.")
    ] = "127.0.0.1:8090",
    out: Annotated[Path | None, typer.Option(help="Where to write what came back, as WAV.")] = None,
    codec: Annotated[
        str | None,
        typer.Option(
            help="slin (8 kHz), slin16, slin24, …, the file's by default; over RTP ulaw, its default, alaw, g722, …"
        ),
    ] = None,
    impair: Annotated[
        str,
        typer.Option(help="Put what is said through a worse network: loss=5%,burst=2,jitter=40ms,seed=7 (RTP)."),
    ] = "",
    listen: Annotated[float, typer.Option(min=0, help="Seconds to go on listening after the file.")] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON on stdout.")] = False,
) -> None:
    """Place a call that says FILE, and record what comes back."""
    sent = at_codec(_read(file), codec, to)
    report, back = place(sent, to, listen_ms=listen * 1000, codec=codec, impair=impair)
    if report["failed"]:
        give_up(f"no call to {to}: {report['failure']}")
    trip = round_trip(sent, back)
    if out is not None:
        write_wav(out, back.audio)
    summary = summarise(sent, report, trip) | {"recording": str(out) if out else None}
    if as_json:
        print_json(summary)
    show(summary)
    if report["silent"]:
        give_up("the call was answered but no audio came back")


def place(
    sent: Audio, to: str, *, listen_ms: float, codec: str | None = None, impair: str = ""
) -> tuple[dict[str, Any], Recorded]:
    """Places one call, with a meter on a terminal, and returns the caller's report and what came back."""
    duration_ms = sent.duration_ms + listen_ms
    wire = wire_codec(codec, to)
    caller = Caller(to, sent.pcm, sent.rate, duration_ms=duration_ms, codec=wire, impair=impair, record=True)
    report = _wait_with_meter(caller, sent.duration_ms + listen_ms) if console.is_terminal else wait(caller)
    return report, recorded(report, sent.rate)


def at_codec(audio: Audio, codec: str | None, to: str) -> Audio:
    """The audio at the rate of a codec's name; over AudioSocket its own by default, or 24 kHz for 22.05."""
    if is_rtp(to):
        return audio.at(RTP_CODECS[_known(codec or RTP_CODEC, RTP_CODECS)][1])
    if codec is None:
        return audio.at(24000) if audio.rate == 22050 else audio
    return audio.at(CODECS[_known(codec, CODECS)])


def wire_codec(codec: str | None, to: str) -> str | None:
    """The codec as the core's caller wants it: of AudioSocket the rate says it all."""
    return codec or RTP_CODEC if is_rtp(to) else None


def is_rtp(to: str) -> bool:
    """Whether a server is to be called over RTP."""
    return to.startswith("rtp://")


def _known(codec: str, codecs: Mapping[str, object]) -> str:
    if codec not in codecs:
        refuse(f"codec {codec!r}, wanted one of {', '.join(codecs)}")
    return codec


def summarise(sent: Audio, report: dict[str, Any], trip: RoundTrip | None) -> dict[str, Any]:
    """What of a report a reader of one call wants."""
    keys = [
        "connected",
        "elapsed_ms",
        "frames_sent",
        "frames_withheld",
        "frames_received",
        "frames_lost",
        "lateness_p50_ms",
        "lateness_p99_ms",
        "lateness_max_ms",
        "gaps",
        "longest_gap_ms",
        "ended_early",
    ]
    return {
        "rate": sent.rate,
        **{key: report[key] for key in keys},
        "first_audio_ms": report["first_audio_max_ms"],
        "round_trip_ms": round(trip.ms, 2) if trip else None,
        "correlation": round(trip.correlation, 6) if trip else None,
    }


def show(summary: dict[str, Any]) -> None:
    """Prints a summary for people."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column()
    seconds, rate = summary["elapsed_ms"] / 1000, summary["rate"] / 1000
    table.add_row(
        "call", f"{seconds:.1f} s at {rate:g} kHz" + (", ended by the far end" if summary["ended_early"] else "")
    )
    sent = f"{summary['frames_sent']} sent"
    if summary["frames_withheld"]:
        sent += f" ({summary['frames_withheld']} more lost on the way)"
    table.add_row("frames", f"{sent}, {summary['frames_received']} received, {summary['frames_lost']} lost")
    lateness = " / ".join(f"{summary[f'lateness_{name}_ms']:.2f}" for name in ("p50", "p99", "max"))
    table.add_row("lateness", f"{lateness} ms (p50 / p99 / max)")
    table.add_row("gaps", f"{summary['gaps']}, the longest wait for a frame {summary['longest_gap_ms']:.1f} ms")
    if summary["round_trip_ms"] is None:
        table.add_row("round trip", "what was said did not come back")
    else:
        table.add_row("round trip", f"{summary['round_trip_ms']:.1f} ms, correlation {summary['correlation']:.4f}")
    if summary.get("recording"):
        table.add_row("recording", summary["recording"])
    console.print(table)


def _read(path: Path) -> Audio:
    if not path.is_file():
        refuse(f"{path}: no such file, wanted a 16-bit mono WAV file")
    audio = read_wav(path)
    if not audio.pcm:
        refuse(f"{path}: no audio in it")
    return audio


def _wait_with_meter(caller: Caller, total_ms: float) -> dict[str, Any]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24, complete_style="green", finished_style="green"),
        TextColumn("[dim]{task.fields[note]}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        time_bar = progress.add_task("call", total=total_ms, note="")
        said = progress.add_task("said", total=60, note="")
        heard = progress.add_task("heard", total=60, note="")

        def show_progress(state: dict[str, Any]) -> None:
            left = max(0.0, total_ms - state["elapsed_ms"]) / 1000
            progress.update(time_bar, completed=state["elapsed_ms"], note=f"{left:.0f} s left")
            for bar, level in ((said, state["sent_level_dbfs"]), (heard, state["received_level_dbfs"])):
                note = f"{level:.0f} dB" if level > -90 else "silence"
                progress.update(bar, completed=max(0.0, 60 + level), note=note)

        return wait(caller, show_progress)
