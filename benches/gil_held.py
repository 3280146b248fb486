"""What does the caller hear while the agent's process holds the GIL half a second at a time?

    python benches/gil_held.py [--seconds 20] [--json]

One call to each server of `whole_call_servers.py`, one after the other. The agent has handed over all of its speech at
the start, as realtime providers do, and then keeps the GIL for 500 ms, lets go for 20 ms, and so on. This process plays
the caller: it sends a frame every 20 ms and notes when each frame comes in. A frame is missing where a phone that
buffers 60 ms has to play something else in its place.
"""

import argparse
import itertools
import json
import select
import socket
import statistics
import struct
import time
import uuid

from whole_call_servers import FRAME_S, Running

PLAYOUT_S = 0.060


def arrivals_of(port: int, seconds: float) -> list[tuple[float, bool]]:
    """Calls, and returns when each frame came in and whether there was speech in it."""
    found: list[tuple[float, bool]] = []
    with socket.create_connection(("127.0.0.1", port)) as phone:
        phone.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        phone.sendall(struct.pack(">BH", 1, 16) + uuid.uuid4().bytes)
        message = struct.pack(">BH", 0x10, 320) + bytes(320)
        due = begin = time.monotonic()
        data = b""
        while (now := time.monotonic()) < begin + seconds:
            if now >= due:
                phone.sendall(message)
                due += FRAME_S
            if select.select([phone], [], [], max(0.0, due - time.monotonic()))[0]:
                data += phone.recv(65536)
                now = time.monotonic()
                while len(data) >= 3 and len(data) >= (end := 3 + int.from_bytes(data[1:3], "big")):
                    if data[0] == 0x10:
                        found.append((now, any(data[3:end])))
                    data = data[end:]
    return found


def measure(server: str, seconds: float, hold_s: float) -> dict[str, object]:
    """Measures one call, from the agent's first frame of speech on."""
    with Running(server, "speak", f"--hold={hold_s}", "--pause=0.02", f"--seconds={int(seconds) + 10}") as running:
        frames = arrivals_of(running.port, seconds + 3)
    first = next(index for index, (_, speech) in enumerate(frames) if speech)
    begin = frames[first][0]
    times = [at for at, _ in frames[first:] if at < begin + seconds]
    expected = round(seconds / FRAME_S)
    on_time = sum(at <= begin + number * FRAME_S + PLAYOUT_S for number, at in enumerate(times[:expected]))
    gaps = sorted(1000 * (after - before) for before, after in itertools.pairwise(times))
    return {
        "server": server,
        "frames_expected": expected,
        "frames_missing": expected - on_time,
        "frames_silent": sum(not speech for at, speech in frames[first:] if at < begin + seconds),
        "gap_p50_ms": round(statistics.median(gaps), 1),
        "gap_p99_ms": round(gaps[int(0.99 * len(gaps))], 1),
        "gap_max_ms": round(gaps[-1], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--hold", type=float, default=0.5, help="seconds that the GIL is held at a time")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    rows = [measure(server, options.seconds, options.hold) for server in ("talkpath", "asyncio")]
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"GIL held {options.hold * 1000:.0f} ms at a time for {options.seconds:.0f} s\n")
    print("| server | frames due | missing | silent | gap p50, ms | p99 | max |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for row in rows:
        print("| " + " | ".join(str(value) for value in row.values()) + " |")


if __name__ == "__main__":
    main()
