"""Draws a call as one HTML page: both sides' waveforms on one time line, interruptions, and how late each frame came.

The page needs nothing from outside: one SVG, one style, light or dark as the reader's system is.
"""

import array
import html
from itertools import pairwise
from typing import Any

from talkpath.cli.caller import Recorded
from talkpath.cli.wav import Audio

_WIDTH, _LEFT, _RIGHT = 1160, 92, 20
_LANE, _GAP, _TOP, _LATENESS = 150, 26, 34, 110


def first_sound(audio: Audio) -> float:
    """Where the first audible 5 ms of a recording begin, in ms."""
    levels = _peaks(audio, _STEP_MS)
    return next((index * _STEP_MS for index, level in enumerate(levels) if level > _AUDIBLE), 0.0)


def silent_after(back: Recorded, interrupted_ms: float) -> float | None:
    """When the agent fell silent after being interrupted: the end of its last audible 5 ms; None if it never was.

    Silent means 200 ms without a sound, looked for in the second and a half after the caller began.
    """
    levels = _peaks(back.audio, _STEP_MS)
    at = round((interrupted_ms - back.begins_ms) / _STEP_MS)
    if not any(level > _AUDIBLE for level in levels[max(0, at - 40) : at]):
        return None
    last, quiet = at, 0
    for index in range(max(0, at), min(len(levels), at + 300)):
        if levels[index] > _AUDIBLE:
            last, quiet = index + 1, 0
        else:
            quiet += 1
            if quiet * _STEP_MS >= 200:
                return back.begins_ms + last * _STEP_MS
    return None


def draw(sent: Audio, back: Recorded, report: dict[str, Any], interrupted_ms: float, silent_ms: float | None) -> str:
    """The page."""
    total = max(sent.duration_ms, back.begins_ms + back.audio.duration_ms)
    scale = (_WIDTH - _LEFT - _RIGHT) / total
    caller_y, agent_y = _TOP, _TOP + _LANE + _GAP
    late_y = agent_y + _LANE + _GAP + 12
    bottom = late_y + _LATENESS

    def x(ms: float) -> float:
        return _LEFT + ms * scale

    parts = [_time_axis(total, x, bottom)]
    parts.append(_lane("caller", "says", caller_y, _wave(sent, 0.0, x, caller_y)))
    parts.append(_lane("agent", "answers", agent_y, _wave(back.audio, back.begins_ms, x, agent_y)))
    parts.append(_interruption(x, interrupted_ms, silent_ms, caller_y, agent_y + _LANE))
    parts.append(_lateness(back, x, late_y))
    facts = [
        (f"{report['frames_received']}", "frames came back"),
        (f"{report['frames_lost']}", "lost"),
        (f"{report['lateness_p99_ms']:.2f} ms", "late at p99"),
        (f"{report['longest_gap_ms']:.1f} ms", "longest wait for a frame"),
    ]
    if silent_ms is not None:
        facts.append((f"{silent_ms - interrupted_ms:.0f} ms", "from the interruption to silence"))
    tiles = "".join(f"<div><b>{html.escape(value)}</b><span>{html.escape(name)}</span></div>" for value, name in facts)
    height = bottom + 34
    label = "Waveforms of caller and agent over time, the interruption, and the lateness of each frame"
    svg = f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{label}">{"".join(parts)}</svg>'
    return _PAGE.replace("{tiles}", tiles).replace("{svg}", svg)


def _wave(audio: Audio, begins_ms: float, x: Any, y: float) -> str:
    """A filled outline: the peak of each pixel column, drawn up and down."""
    columns = max(1, round(x(begins_ms + audio.duration_ms) - x(begins_ms)))
    step_ms = audio.duration_ms / columns
    middle, half = y + _LANE / 2, _LANE / 2 - 6
    peaks = _peaks(audio, step_ms)
    top = [
        f"{x(begins_ms + index * step_ms):.1f},{middle - max(0.6, peak * half):.1f}" for index, peak in enumerate(peaks)
    ]
    low = [
        f"{x(begins_ms + index * step_ms):.1f},{middle + max(0.6, peak * half):.1f}" for index, peak in enumerate(peaks)
    ]
    return f'<polygon points="{" ".join(top + low[::-1])}"/>'


def _peaks(audio: Audio, step_ms: float) -> list[float]:
    """The peak of each step, 1 being the recording's loudest."""
    samples = array.array("h", audio.pcm)
    count = max(1, int(len(samples) / (step_ms * audio.rate / 1000)))
    edges = [round(index * len(samples) / count) for index in range(count + 1)]
    loudest = max(max(samples, default=0), -min(samples, default=0), 1)
    pieces = (samples[a:b] for a, b in pairwise(edges))
    return [max(max(piece), -min(piece)) / loudest if piece else 0.0 for piece in pieces]


def _lane(name: str, note: str, y: float, wave: str) -> str:
    middle, width = y + _LANE / 2, _WIDTH - _LEFT - _RIGHT
    return (
        f'<g class="{name}"><rect class="lane" x="{_LEFT}" y="{y}" width="{width}" height="{_LANE}" rx="8"/>'
        f'{wave}<text class="name" x="{_LEFT - 14}" y="{middle}" text-anchor="end">{name}</text>'
        f'<text class="note" x="{_LEFT - 14}" y="{middle + 17}" text-anchor="end">{note}</text></g>'
    )


def _time_axis(total: float, x: Any, bottom: float) -> str:
    lines = []
    for second in range(int(total / 1000) + 1):
        at = x(second * 1000)
        lines.append(f'<line class="grid" x1="{at:.1f}" y1="{_TOP}" x2="{at:.1f}" y2="{bottom}"/>')
        lines.append(f'<text class="note" x="{at:.1f}" y="{bottom + 20}" text-anchor="middle">{second} s</text>')
    return "".join(lines)


def _interruption(x: Any, began: float, silent: float | None, top: float, bottom: float) -> str:
    at = x(began)
    mark = f'<line class="mark" x1="{at:.1f}" y1="{top - 8}" x2="{at:.1f}" y2="{bottom}"/>'
    label = f'<text class="marked" x="{at:.1f}" y="{top - 14}" text-anchor="middle">'
    if silent is None:
        return f"{mark}{label}the caller speaks again</text>"
    width, height = max(1.5, x(silent) - at), bottom - top + 8
    return (
        f'<rect class="reaction" x="{at:.1f}" y="{top - 8}" width="{width:.1f}" height="{height}"/>'
        f"{mark}{label}the caller talks over it: silent {silent - began:.0f} ms after the first sound</text>"
    )


def _lateness(back: Recorded, x: Any, y: float) -> str:
    """One dot a frame: how far its arrival lies behind the even 20 ms grid of the most punctual one."""
    late = [at - index * 20 for index, at in enumerate(back.arrivals_ms)]
    best = min(late, default=0.0)
    late = [value - best for value in late]
    ceiling = max(5.0, 5.0 * (int(max(late, default=0.0) / 5) + 1))
    dots = "".join(
        f'<circle cx="{x(at):.1f}" cy="{y + _LATENESS - value / ceiling * _LATENESS:.1f}" r="1.5"/>'
        for at, value in zip(back.arrivals_ms, late, strict=True)
    )
    lines = "".join(
        f'<line class="grid" x1="{_LEFT}" y1="{at:.1f}" x2="{_WIDTH - _RIGHT}" y2="{at:.1f}"/>'
        f'<text class="note" x="{_LEFT - 14}" y="{at + 4:.1f}" text-anchor="end">{value:g} ms</text>'
        for value, at in ((ceiling, y), (ceiling / 2, y + _LATENESS / 2), (0, y + _LATENESS))
    )
    title = f'<text class="note" x="{_LEFT}" y="{y - 8}">how late each 20 ms frame reached the caller</text>'
    return f'<g class="lateness">{lines}{title}{dots}</g>'


_STEP_MS = 5.0
# -34 dB of the loudest: above the noise of a recording, below any speech.
_AUDIBLE = 0.02

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>A call through talkpath</title>
<style>
:root { color-scheme: light dark; --paper: #fbfaf7; --ink: #1d2433; --soft: #687085; --lane: #f0eee8; --grid: #dedbd2;
  --caller: #2f6fb7; --agent: #cc6a2b; --mark: #b3263e; --dot: #2a8f6d; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171f; --ink: #e9ebf1; --soft: #98a0b3; --lane: #1c212c;
  --grid: #2b3140; --caller: #6fabf0; --agent: #f09a5c; --mark: #ff6b81; --dot: #5fd0a6; } }
body { margin: 0 auto; max-width: 1200px; padding: 36px 24px 48px; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
h1 { font-size: 26px; font-weight: 650; margin: 0 0 4px; letter-spacing: -.01em; }
p { margin: 0 0 22px; color: var(--soft); max-width: 70ch; }
.tiles { display: flex; flex-wrap: wrap; gap: 10px 36px; margin-bottom: 18px; }
.tiles div { display: flex; flex-direction: column; }
.tiles b { font-size: 22px; font-weight: 600; font-variant-numeric: tabular-nums; }
.tiles span { color: var(--soft); font-size: 13px; }
svg { width: 100%; height: auto; display: block; }
svg text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: var(--soft); }
svg .name { font-size: 15px; font-weight: 600; } svg .note { font-size: 12px; font-variant-numeric: tabular-nums; }
.caller .name { fill: var(--caller); } .agent .name { fill: var(--agent); }
.caller polygon { fill: var(--caller); } .agent polygon { fill: var(--agent); }
.lane { fill: var(--lane); } .grid { stroke: var(--grid); stroke-width: 1; }
.mark { stroke: var(--mark); stroke-width: 1.5; } svg .marked { fill: var(--mark); font-weight: 600; }
.reaction { fill: var(--mark); opacity: .16; } .lateness circle { fill: var(--dot); opacity: .75; }
</style></head><body>
<h1>A call through talkpath</h1>
<p>Recorded speech calls the parrot over AudioSocket. It listens until the caller stops, says it back, and falls silent
when the caller talks over it; then it says that back too.</p>
<div class="tiles">{tiles}</div>
{svg}
</body></html>
"""
