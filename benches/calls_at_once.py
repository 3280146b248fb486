"""How many calls does a process carry on time, and what is left of them once the agent computes?

    python benches/calls_at_once.py [--calls 100,300,400,1000] [--seconds 10] [--json]

The servers of `whole_call_servers.py` echo at 16 kHz, alone and with an agent that computes for 100 ms once a second;
`talkpath load` places the calls on both. Lateness is that of each frame against its call's own 20 ms grid. While the
agent computes, talkpath sends silence on time and counts it; asyncio sends nothing, and catches up in a burst.
"""

import argparse
import json
import subprocess
import sys

from whole_call_servers import Running

SERVERS = {
    "asyncio + audioop": ("asyncio", "echo"),
    "talkpath": ("talkpath", "echo"),
    "asyncio + audioop, computing": ("asyncio", "echo", "--compute=0.1"),
    "talkpath, computing": ("talkpath", "echo", "--compute=0.1"),
}


def measure(name: str, calls: int, seconds: float) -> dict[str, object]:
    """Places `calls` calls on one server and returns its row."""
    with Running(*SERVERS[name]) as running:
        before = running.cpu_s()
        command = [sys.executable, "-m", "talkpath", "load", "-n", str(calls), "--seconds", str(seconds), "--json"]
        done = subprocess.run([*command, "--to", f"127.0.0.1:{running.port}"], capture_output=True, text=True)
        used = running.cpu_s() - before
        memory = running.memory_bytes()
    try:
        report = json.loads(done.stdout)
    except json.JSONDecodeError:
        raise RuntimeError(f"talkpath load failed: {done.stderr[-500:]}") from None
    return {
        "calls": calls,
        "server": name,
        "lateness_p50_ms": round(report["lateness_p50_ms"], 2),
        "lateness_p99_ms": round(report["lateness_p99_ms"], 2),
        "lateness_max_ms": round(report["lateness_max_ms"], 1),
        "frames_lost": report["frames_lost"],
        "cpu_cores": round(used / seconds, 2),
        "memory_mib": round(memory / 2**20),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", default="100,300,400,1000", help="numbers of calls, separated by commas")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    rows = [measure(name, int(calls), options.seconds) for calls in options.calls.split(",") for name in SERVERS]
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    print("| calls | server | lateness p50, ms | p99 | max | frames lost | cores | memory, MiB |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for row in rows:
        print("| " + " | ".join(str(value) for value in row.values()) + " |")


if __name__ == "__main__":
    main()
