"""Judges talkpath's jitter buffer and its peers on the same packets, and prints Markdown tables.

    python benches/jitter_peers            # everything
    python benches/jitter_peers --quick    # a twelfth of it, for a look

The first run makes an environment of its own, builds the peers and fetches 100 MB of recorded prompts, all in
target/; the machine needs Rust, g++, apt-get with up-to-date lists, and PyPI. A peer or a score that cannot
be had is named with the reason, and the rest goes on. What is compared is told in peers.py, networks.py and scores.py.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENV = HERE.parent.parent / "target" / "jitter-peers" / "venv"
NEEDED = ("numpy", "scipy")
# What each score wants: without it the others are still worth having.
SCORES = {"pesq": ("pesq",), "speechmos": ("speechmos", "librosa", "onnxruntime", "soxr")}


def main() -> None:
    options = parse()
    if Path(sys.prefix) != VENV:
        prepare()
        # A process of one thread each: the clips run side by side.
        os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
        os.execv(VENV / "bin" / "python", [str(VENV / "bin" / "python"), str(HERE), *sys.argv[1:]])
    sys.path.insert(0, str(HERE.parent))
    import run

    run.run(options)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="jitter_peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one clip of each speaker, and a few of the networks")
    parser.add_argument("--clips", type=int, help="clips of each of the five speakers (4; 1 if quick)")
    parser.add_argument("--seed", type=int, default=1, help="of the choice of clips and of all that the networks do")
    parser.add_argument("--peers", help="a comma-separated choice of talkpath,webrtc,neteq_crate,spandsp,fixed")
    parser.add_argument("--networks", help="a comma-separated choice of networks")
    parser.add_argument("--no-plcmos", action="store_true", help="leave PLC-MOS out, which takes most of the time")
    parser.add_argument("--json", type=Path, help="where to write every single result")
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count(), help="processes")
    return parser.parse_args()


def prepare() -> None:
    """Makes the environment, or brings it up to date."""
    python = VENV / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if not has(python, NEEDED):
        subprocess.run([*install, *NEEDED], check=True)
    for name, packages in SCORES.items():
        if not has(python, packages) and subprocess.run([*install, *packages], check=False).returncode != 0:
            sys.stderr.write(f"{name} cannot be installed: its scores stay empty\n")


def has(python: Path, packages: tuple[str, ...]) -> bool:
    """Whether an environment has packages already: pip takes seconds to find that out."""
    code = f"import importlib.util as u; raise SystemExit(not all(map(u.find_spec, {packages!r})))"
    return subprocess.run([str(python), "-c", code], check=False).returncode == 0


if __name__ == "__main__":
    main()
