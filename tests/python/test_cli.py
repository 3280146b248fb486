"""The command line, as a shell sees it: JSON alone on stdout, words on stderr, exit codes 0, 1 and 2."""

import json
import signal
import subprocess
import sys
import wave
from pathlib import Path

import pytest

import talkpath
from audio import noise
from talkpath._talkpath import Caller
from talkpath.cli.serving import free_rtp_ports, serving


def run(*arguments: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "talkpath", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=cwd)


def write_wav(path: Path, pcm: bytes, *, rate: int = 8000, channels: int = 1, width: int = 2) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(pcm)
    return path


def test_version() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout.strip()) == (0, f"talkpath {talkpath.__version__}")


def test_dialplan_is_what_asterisk_wants() -> None:
    done = run("dialplan", "--host", "10.0.0.7", "--port", "9000")
    assert done.returncode == 0
    assert " same => n,AudioSocket(${CALL_UUID},10.0.0.7:9000)\n" in done.stdout
    assert done.stdout.startswith("[talkpath]\nexten => s,1,Answer()\n")
    assert "Dial(AudioSocket/127.0.0.1:8090/${CALL_UUID}/c(slin16),,g)" in run("dialplan", "--wideband").stdout


@pytest.mark.parametrize(("codec", "rate"), [("slin", 8000), ("slin16", 16000), ("slin48", 48000)])
def test_a_call_to_echo_comes_back_as_it_was(tmp_path: Path, codec: str, rate: int) -> None:
    # Silence first, as the first 5 ms of what an agent says are faded in.
    file = write_wav(tmp_path / "noise.wav", bytes(rate // 5) + noise(1.5, rate), rate=rate)
    # A busy machine may keep the agent waiting longer than the usual 60 ms.
    with serving("echo", "--prebuffer", "300") as server:
        done = run(
            "call", str(file), "--to", server.address, "--codec", codec, "--json", "--out", str(tmp_path / "o.wav")
        )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["rate"] == rate
    assert summary["frames_lost"] == 0
    assert summary["correlation"] >= 0.999
    assert 0 < summary["round_trip_ms"] < 1000
    assert "round trip" in done.stderr
    with wave.open(str(tmp_path / "o.wav")) as reply:
        assert reply.getframerate() == rate
        assert reply.getnframes() > 2 * rate


@pytest.mark.parametrize(
    ("codec", "rate", "likeness"), [("ulaw", 8000, 0.99), ("slin16", 16000, 0.9), ("g722", 16000, 0.9)]
)
def test_a_call_over_rtp_comes_back_as_it_was(tmp_path: Path, codec: str, rate: int, likeness: float) -> None:
    # Linear audio of a peer with whom nothing was agreed is answered in G.722.
    file = write_wav(tmp_path / "noise.wav", bytes(rate // 5) + noise(1.5, rate), rate=rate)
    with serving("echo", "--prebuffer", "300", listen=free_rtp_ports(1)) as server:
        assert server.address.startswith("rtp://127.0.0.1:")
        done = run("call", str(file), "--to", server.address, "--codec", codec, "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["rate"], summary["frames_withheld"]) == (rate, 0)
    assert summary["correlation"] >= likeness


def test_load_makes_the_network_worse() -> None:
    done = run("load", "-n", "5", "--seconds", "2", "--impair", "loss=10%,burst=2,jitter=20ms,seed=3", "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["connected"], summary["frames_sent"] + summary["frames_withheld"]) == (5, 500)
    assert 20 <= summary["frames_withheld"] <= 90
    assert summary["frames_received"] >= 5 * 85
    assert summary["impair"] == "loss=10%,burst=2,jitter=20ms,seed=3"
    assert "frames to the server lost" in " ".join(done.stderr.split())


def test_demo_draws_the_call_and_the_interruption(tmp_path: Path) -> None:
    done = run("demo", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["frames_lost"] == 0
    assert summary["correlation"] > 0.9
    assert 0 < summary["silent_after_ms"] < 400
    page = (tmp_path / "talkpath-demo.html").read_text()
    assert "<svg" in page
    assert "the caller talks over it" in page
    assert "http" not in page
    with wave.open(str(tmp_path / "talkpath-demo.wav")) as recording:
        assert recording.getnframes() > 8000 * 10


def test_load_measures_its_own_server() -> None:
    done = run("load", "-n", "20", "--seconds", "2", "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["calls"], summary["connected"], summary["frames_lost"]) == (20, 20, 0)
    assert summary["frames_received"] >= 20 * 95
    assert 0 < summary["server_cpu_per_call"] < 0.1
    assert summary["lateness_p50_ms"] <= summary["lateness_p99_ms"] <= summary["lateness_p999_ms"]


def test_a_handler_of_ones_own_is_found_in_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("async def agent(session):\n    await session.hangup()\n")
    done = run("serve", "--agent", "mine:missing", cwd=tmp_path)
    assert done.returncode == 2
    assert "module mine has no missing" in done.stderr
    (tmp_path / "plain.py").write_text("def agent(session): pass\n")
    assert "wanted async def" in run("serve", "--agent", "plain:agent", cwd=tmp_path).stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["serve", "--agent", "nobody"], 2, "agent 'nobody', wanted echo, parrot or MODULE:HANDLER"),
        (["serve", "--listen", "http://x"], 2, "wanted audiosocket://HOST:PORT"),
        (["call", "no.wav"], 2, "no.wav: no such file"),
        (["call", "stereo.wav"], 2, "2 channels, wanted mono"),
        (["call", "bytes.wav"], 2, "8-bit samples, wanted 16-bit"),
        (["call", "odd.wav"], 2, "11025 Hz, wanted one of 8000"),
        (["call", "text.wav"], 2, "wanted a 16-bit PCM WAV file"),
        (["call", "good.wav", "--codec", "gsm"], 2, "codec 'gsm', wanted one of slin"),
        (["call", "good.wav", "--to", "127.0.0.1:1"], 1, "no call to 127.0.0.1:1"),
        (["call", "good.wav", "--to", "rtp://127.0.0.1:9"], 1, "no call to rtp://127.0.0.1:9: "),
        (["call", "good.wav", "--to", "rtp://127.0.0.1:9", "--codec", "slin9"], 2, "codec 'slin9', wanted one of ulaw"),
        (["call", "good.wav", "--to", "rtp://127.0.0.1"], 2, "wanted"),
        (["call", "good.wav", "--to", "ws://127.0.0.1:1/"], 2, "wanted audiosocket://HOST:PORT or rtp://HOST:PORT"),
        (["call", "good.wav", "--impair", "loss=1%"], 2, "impairments loss=1% over audiosocket, wanted only delay"),
        (
            ["load", "--to", "rtp://127.0.0.1:9000-9003", "-n", "3"],
            2,
            "3 calls to rtp://127.0.0.1:9000-9003, wanted at most 2",
        ),
        (["load", "--impair", "loss=much"], 2, 'loss of "much", wanted a percentage such as 5%'),
        (["load", "-n", "0"], 2, "greater than or equal to"),
        (["load", "-n", "2", "--seconds", "1", "--to", "127.0.0.1:1"], 1, "2 calls failed"),
        (["sing"], 2, "sing"),
    ],
)
def test_errors_are_one_clear_line(tmp_path: Path, arguments: list[str], code: int, message: str) -> None:
    write_wav(tmp_path / "good.wav", noise(0.2))
    write_wav(tmp_path / "stereo.wav", noise(0.2), channels=2)
    write_wav(tmp_path / "bytes.wav", noise(0.2), width=1)
    write_wav(tmp_path / "odd.wav", noise(0.2), rate=11025)
    (tmp_path / "text.wav").write_text("not audio")
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_serve_says_in_json_when_it_listens_and_what_it_did() -> None:
    command = [sys.executable, "-m", "talkpath", "serve", "--agent", "echo", "--listen", "127.0.0.1:0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        called = Caller(first["listening"], bytes(320), 8000, duration_ms=200, loop_audio=True).finish()
        process.send_signal(signal.SIGINT)
        out, words = process.communicate(timeout=20)
    assert process.returncode == 0, words
    assert first["agent"] == "echo"
    last = json.loads(out)
    assert last["stopped"] == first["listening"]
    assert (called["connected"], last["calls_began"]) == (1, 1)
    assert "echo answers calls" in words


def test_a_port_in_use_is_one_line_and_exit_code_1() -> None:
    with serving("echo") as server:
        done = run("serve", "--listen", server.address)
    assert done.returncode == 1
    assert "in use" in done.stderr
    assert "Traceback" not in done.stderr
