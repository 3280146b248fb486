"""`talkpath demo`: a whole call on this machine, by recorded speech, with a recording and a picture to show for it."""

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from talkpath.cli import picture
from talkpath.cli.call import place, show, summarise
from talkpath.cli.caller import round_trip
from talkpath.cli.console import console, give_up, print_json
from talkpath.cli.serving import serving
from talkpath.cli.wav import Audio, read_wav, write_wav

# The caller asks, lets the parrot begin to repeat it, talks over it, and hears that out.
_BEFORE_MS = 500
_UNTIL_INTERRUPTION_MS = 2000
_LISTEN_MS = 4500


def demo(
    out: Annotated[Path, typer.Option(help="Where to write: OUT.wav and OUT.html.")] = Path("talkpath-demo"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON on stdout.")] = False,
) -> None:
    """Call the parrot with recorded speech, talk over it, and write a recording and a picture of the call."""
    data = files("talkpath").joinpath("data")
    question, interruption = read_wav(data / "question.wav"), read_wav(data / "interruption.wav")
    silence = [bytes(16 * ms) for ms in (_BEFORE_MS, _UNTIL_INTERRUPTION_MS)]
    sent = Audio(silence[0] + question.pcm + silence[1] + interruption.pcm, 8000)
    interrupts_ms = _BEFORE_MS + question.duration_ms + _UNTIL_INTERRUPTION_MS + picture.first_sound(interruption)
    console.print("a caller speaks to the parrot, and talks over its answer …")
    with serving("parrot") as server:
        report, back = place(sent, server.address, listen_ms=_LISTEN_MS)
    if report["failed"] or not back.arrivals_ms:
        give_up(f"the call failed: {report['failure'] or 'no audio came back'}")
    recording, page = out.with_name(out.name + ".wav"), out.with_name(out.name + ".html")
    write_wav(recording, back.audio)
    stop = picture.silent_after(back, interrupts_ms)
    page.write_text(picture.draw(sent, back, report, interrupts_ms, stop), encoding="utf-8")
    summary = summarise(question, report, round_trip(Audio(silence[0] + question.pcm, 8000), back)) | {
        "interrupted_at_ms": round(interrupts_ms, 1),
        "silent_after_ms": round(stop - interrupts_ms, 1) if stop is not None else None,
        "recording": str(recording),
        "picture": str(page),
    }
    if as_json:
        print_json(summary)
    show(summary)
    if stop is not None:
        console.print(f"[dim]barge-in   [/] silent {stop - interrupts_ms:.0f} ms after the caller's first sound")
    console.print(f"[dim]picture    [/] {page}")
