"""`talkpath load`: places many paced calls at once, and says how late, how lossy and how dear they are."""

import os
from contextlib import ExitStack
from importlib.resources import files
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from talkpath._talkpath import Caller
from talkpath.cli.call import at_codec, wire_codec
from talkpath.cli.caller import wait
from talkpath.cli.console import console, give_up, print_json
from talkpath.cli.serving import Serving, free_rtp_ports, serving
from talkpath.cli.wav import read_wav
from talkpath.testing import Network


def load(
    calls: Annotated[int, typer.Option("-n", "--calls", min=1, help="How many calls at once.")] = 100,
    seconds: Annotated[float, typer.Option(min=1, help="How long each call is.")] = 10.0,
    to: Annotated[
        str | None,
        typer.Option(
            help="The server: [audiosocket://]HOST:PORT or rtp://HOST:FIRST-LAST; by default one of its own is started."
        ),
    ] = None,
    codec: Annotated[
        str | None, typer.Option(help="Over RTP: ulaw (the default), alaw, g722, slin16, opus16, …")
    ] = None,
    impair: Annotated[
        str,
        typer.Option(
            help="Put what is said through a worse network: loss=5%,burst=2,jitter=40ms,reorder=1%. The server that is"
            " started then takes RTP, as it does with a codec."
        ),
    ] = "",
    agent: Annotated[str, typer.Option(help="The agent of the server that is started.")] = "echo",
    vad: Annotated[bool, typer.Option(help="Whether the server that is started detects voices.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON on stdout.")] = False,
) -> None:
    """Place N concurrent paced calls of recorded speech, and measure."""
    with ExitStack() as stack:
        server = None
        if to is None:
            options = [f"--max-calls={calls + 16}", "--vad" if vad else "--no-vad"]
            over_rtp = codec is not None or not Network(impair).only_delays
            listen = free_rtp_ports(calls) if over_rtp else "127.0.0.1:0"
            server = stack.enter_context(serving(agent, *options, listen=listen))
        summary = measure(server.address if server else str(to), server, calls, seconds, codec, impair)
    if as_json:
        print_json(summary)
    _show(summary)
    if summary["failed"] or summary["silent"]:
        give_up(
            f"{summary['failed']} calls failed ({summary['failure']})"
            if summary["failed"]
            else f"in {summary['silent']} calls no audio came back"
        )


def measure(
    to: str, server: Serving | None, calls: int, seconds: float, codec: str | None = None, impair: str = ""
) -> dict[str, Any]:
    """Places the calls and returns the figures; those of the server only if it is our own."""
    speech = at_codec(read_wav(files("talkpath").joinpath("data/question.wav")), codec, to)
    ramp_ms = min(2000.0, calls * 2.0)
    memory, cpu = (server.memory_bytes(), server.cpu_s()) if server else (0, 0.0)
    peak = memory
    caller = Caller(
        to,
        speech.pcm,
        speech.rate,
        duration_ms=seconds * 1000,
        codec=wire_codec(codec, to),
        impair=impair,
        calls=calls,
        stagger_ms=ramp_ms,
        loop_audio=True,
    )

    def watch(state: dict[str, Any]) -> None:
        nonlocal peak
        if server is not None:
            peak = max(peak, server.memory_bytes())

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=40), TextColumn("[dim]{task.fields[note]}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task(f"{calls} calls", total=seconds * 1000 + ramp_ms, note="")

        def on_progress(state: dict[str, Any]) -> None:
            watch(state)
            note = f"{state['active']} active, {state['frames_received']} frames back"
            progress.update(bar, completed=state["elapsed_ms"], note=note)

        report = wait(caller, on_progress, poll_s=0.25)
    report.pop("recording")
    network = {"impair": Network(impair).impair} if impair else {}
    summary = {"processors": os.cpu_count(), "seconds": seconds, "server": to, **network, **report}
    # A call runs for `seconds`, whatever the ramp: so many call-seconds were carried.
    carried = max(1.0, report["frames_sent"] / 50)
    summary["caller_cpu_per_call"] = report["cpu_s"] / carried
    if server is not None:
        used = server.cpu_s() - cpu
        summary["server_cpu_s"] = round(used, 3)
        summary["server_cpu_per_call"] = used / carried
        summary["server_memory_per_call_bytes"] = (peak - memory) // calls
        summary["server_memory_bytes"] = peak
    return summary


def _show(summary: dict[str, Any]) -> None:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column()
    table.add_row("calls", f"{summary['connected']} of {summary['calls']}, {summary['seconds']:g} s each")
    lost = summary["frames_lost"]
    style = "green" if lost == 0 else "red"
    table.add_row("frames", f"{summary['frames_received']} received, [{style}]{lost} lost[/]")
    if "impair" in summary:
        withheld = summary["frames_withheld"]
        share = 100 * withheld / max(1, withheld + summary["frames_sent"])
        table.add_row("network", f"{summary['impair']}: {withheld} frames to the server lost ({share:.1f} %)")
    lateness = " / ".join(f"{summary[f'lateness_{name}_ms']:.2f}" for name in ("p50", "p99", "p999", "max"))
    table.add_row("lateness", f"{lateness} ms (p50 / p99 / p99.9 / max)")
    own = " / ".join(f"{summary[f'send_lateness_{name}_ms']:.2f}" for name in ("p50", "p99", "max"))
    table.add_row("", f"[dim]of the frames sent here: {own} ms (p50 / p99 / max)[/]")
    table.add_row("longest wait", f"{summary['longest_gap_ms']:.1f} ms between two frames of a call")
    if "server_cpu_per_call" in summary:
        table.add_row(
            "server",
            f"{summary['server_cpu_per_call'] * 100:.3f} % of a processor a call, "
            f"{summary['server_memory_per_call_bytes'] / 1024:.0f} KiB a call",
        )
    table.add_row("this side", f"{summary['caller_cpu_per_call'] * 100:.3f} % of a processor a call")
    console.print(table)
