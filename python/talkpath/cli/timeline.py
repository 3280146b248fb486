"""Draws in the terminal what a jitter buffer made of a trace: delay, loss and concealment over time, a column a slice.

It knows nothing of buffers: `Slice`s come from `simulate`.
"""

from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.text import Text


@dataclass(slots=True)
class Slice:
    """What happened in one stretch of time."""

    at_ms: float
    network_ms: float = 0.0
    """How much later than the fastest packet the slowest one came."""
    playout_ms: float = 0.0
    """How much later than the fastest packet audio was played, at most."""
    packets: int = 0
    lost: int = 0
    """Packets found to be missing, less those that came after all."""
    late: int = 0
    """Packets that came after their place had been played."""
    frames: int = 0
    concealed: int = 0
    """Frames made up for lost or late packets."""
    inserted: int = 0
    """Frames made up to gain delay."""


def draw(slices: list[Slice]) -> RenderableType:
    """The picture, as wide as there are slices, and its legend."""
    highest = max((max(it.network_ms, it.playout_ms) for it in slices), default=0.0)
    top = max(20.0, 20.0 * -(-highest // 20))
    lines = [_delays(slices, top, row) for row in range(_ROWS)]
    lines += [
        _shares("lost", "red", [it.lost / max(1, it.lost + it.packets) for it in slices]),
        _shares("late", "yellow", [it.late / max(1, it.packets) for it in slices]),
        _shares("concealed", "magenta", [it.concealed / max(1, it.frames) for it in slices]),
        _shares("stretched", "cyan", [it.inserted / max(1, it.frames) for it in slices]),
        _axis(slices),
    ]
    legend = Text.assemble(
        " " * _LEFT,
        ("█", _NETWORK),
        " delay of the network, ",
        ("━", _PLAYOUT),
        " of playout, ms over the fastest packet",
        style="dim",
    )
    return Group(*lines, legend)


def _delays(slices: list[Slice], top: float, row: int) -> Text:
    """One row of the picture: bars that come up to it, and the line of playout where it runs through."""
    low, high = top * (_ROWS - 1 - row) / _ROWS, top * (_ROWS - row) / _ROWS
    label = f"{high:.0f}" if row % 2 == 0 else ""
    line = Text(f"{label:>{_LEFT - 2}} │" if label else " " * (_LEFT - 1) + "│", style="dim")
    for it in slices:
        full = min(1.0, max(0.0, (it.network_ms - low) / (high - low)))
        bar = _BARS[round(full * (len(_BARS) - 1))]
        if it.frames and (low < it.playout_ms <= high or (it.playout_ms <= 0 and row == _ROWS - 1)):
            line.append("━", f"{_PLAYOUT} on grey37" if full > 0.5 else _PLAYOUT)
        else:
            line.append(bar, _NETWORK)
    return line


def _shares(name: str, style: str, shares: list[float]) -> Text:
    """One row of shares: nothing, a little, much, everything."""
    line = Text(f"{name:>{_LEFT - 2}} │", style="dim")
    for share in shares:
        line.append(" " if share <= 0 else _SHADES[min(len(_SHADES) - 1, int(share * len(_SHADES)))], style)
    return line


def _axis(slices: list[Slice]) -> Text:
    """Seconds, where there is room for them."""
    line = [" "] * len(slices)
    next_free = 0
    for column, it in enumerate(slices):
        second = int(it.at_ms // 1000)
        is_first = column == 0 or int(slices[column - 1].at_ms // 1000) != second
        label = f"{second} s"
        if is_first and next_free <= column <= len(slices) - len(label):
            line[column : column + len(label)] = label
            next_free = column + len(label) + 4
    return Text(" " * _LEFT + "".join(line).rstrip(), style="dim")


_ROWS = 8
_LEFT = 12
_BARS = " ▁▂▃▄▅▆▇█"
_SHADES = "░▒▓█"
_NETWORK = "grey50"
_PLAYOUT = "bold green"
