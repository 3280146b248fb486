"""`talkpath simulate`: a trace from a file or made of a recording, what is heard of it, and what is wrong with one."""

import json
import subprocess
import sys
import wave
from pathlib import Path

import pytest

from audio import noise, tone

STEADY = "arrival_ms,sequence,timestamp\n" + "".join(f"{1000 + 20 * n},{n},{160 * n}\n" for n in range(100))


def simulate(*arguments: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "talkpath", "simulate", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=cwd)


def write_wav(path: Path, pcm: bytes, rate: int = 8000) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm)
    return path


def test_a_steady_trace_is_played_whole(tmp_path: Path) -> None:
    (tmp_path / "steady.csv").write_text(STEADY)
    done = simulate("steady.csv", "--json", "--out", "heard.wav", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["packets"], summary["packets_lost"], summary["frames_audio"]) == (100, 0, 100)
    assert (summary["frames_concealed"], summary["delay_p95_ms"]) == (0, 0)
    assert [it["packets"] for it in summary["timeline"]] == [50, 50]
    with wave.open(str(tmp_path / "heard.wav")) as heard:
        assert (heard.getframerate(), heard.getnframes()) == (8000, 16000)


def test_loss_and_lateness_are_told_and_drawn(tmp_path: Path) -> None:
    lines = STEADY.splitlines()
    # Three packets never come; one is 300 ms late.
    late = lines.pop(80)
    arrival, rest = late.split(",", 1)
    lines[40:43] = []
    (tmp_path / "bad.csv").write_text("\n".join([*lines, f"{int(arrival) + 300},{rest}"]))
    done = simulate("bad.csv", "--json", "--playout", "fixed:40ms", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["packets_lost"], summary["packets_late"]) == (3, 1)
    assert summary["frames_concealed"] == 4
    assert [it["lost"] for it in summary["timeline"]] == [3, 0, 0]
    assert summary["timeline"][1]["late"] == 1
    assert summary["timeline"][1]["network_ms"] == 300
    assert "3 lost (3.0 %), 1 too late" in " ".join(done.stderr.split())
    assert "concealed │" in done.stderr


def test_a_trace_is_made_of_a_recording_and_read_again(tmp_path: Path) -> None:
    write_wav(tmp_path / "tone.wav", tone(3, 16000), 16000)
    impair = "loss=5%,burst=2,jitter=30ms,reorder=1%,dup=1%,seed=7"
    made = simulate(
        "tone.wav", "--impair", impair, "--write-trace", "made.csv", "--json", "--codec", "g722", cwd=tmp_path
    )
    assert made.returncode == 0, made.stderr
    summary = json.loads(made.stdout)
    assert summary["impair"] == impair
    assert 0 < summary["packets_lost"] < 20
    assert summary["frames_concealed"] >= summary["packets_lost"] - 2
    again = simulate("made.csv", "--json", "--codec", "g722", cwd=tmp_path)
    same = json.loads(again.stdout)
    figures = ("packets", "packets_lost", "packets_late", "packets_duplicate", "frames_concealed")
    assert [same[name] for name in figures] == [summary[name] for name in figures]


@pytest.mark.parametrize(("codec", "rate"), [("ulaw", 8000), ("slin16", 16000), ("g722", 16000), ("opus", 48000)])
def test_every_codec_is_heard_as_it_was_said(tmp_path: Path, codec: str, rate: int) -> None:
    write_wav(tmp_path / "noise.wav", noise(1, rate), rate)
    done = simulate("noise.wav", "--impair", "delay=40ms", "--codec", codec, "--out", "heard.wav", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    with wave.open(str(tmp_path / "heard.wav")) as heard:
        assert (heard.getframerate(), heard.getnframes()) == (rate, rate)
        pcm = heard.readframes(rate)
    if codec == "slin16":
        assert pcm == noise(1, rate)


def test_a_trace_without_payloads_speaks_whatever_its_counters_do(tmp_path: Path) -> None:
    rows = [f"{20 * n},{(65500 + n) % 65536},{(2**32 - 4000 + 320 * n) % 2**32},80,{int(n == 0)}" for n in range(100)]
    # The second comes before the first, and 40 ms packets step by 320.
    rows[0], rows[1] = rows[1], rows[0]
    (tmp_path / "t.csv").write_text("arrival_ms, sequence, timestamp, size, marker\n" + "\n".join(rows))
    done = simulate("t.csv", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["packets"], summary["packets_lost"], summary["restarts"]) == (100, 0, 0)


def test_asap_has_no_delay_of_its_own() -> None:
    done = simulate("--impair", "loss=2%,seed=2", "--playout", "asap", "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["playout"], summary["delay_mean_ms"]) == ("asap:60ms", None)
    assert "as soon as it has come" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no trace, wanted a .csv file, or --impair to make one"),
        (["no.csv"], "no.csv: no such file"),
        (["no.wav", "--impair", "loss=1%"], "no.wav: no such file"),
        (["good.csv", "--impair", "loss=1%"], "good.csv with --impair, wanted a .wav file"),
        (["speech.wav"], "speech.wav without --impair, wanted a trace"),
        (["--impair", "loss=1"], 'loss of "1", wanted a percentage such as 5%'),
        (["--impair", "loss=100%"], "wanted some of the"),
        (["good.csv", "--codec", "gsm"], "codec 'gsm', wanted one of ulaw"),
        (["good.csv", "--playout", "soon"], 'playout "soon", wanted adaptive'),
        (["header.csv"], "columns time, seq, wanted arrival_ms, sequence and timestamp among them"),
        (["empty.csv"], "empty.csv: no packets, wanted at least one"),
        (["nothing.csv"], "columns nothing, wanted arrival_ms"),
        (["binary.csv"], "wanted a CSV file"),
        (["time.csv"], "time.csv:3: arrival_ms of 'soon', wanted a number of at least 0"),
        (["sequence.csv"], "sequence.csv:2: sequence of '65536', wanted 0 to 65535"),
        (["short.csv"], "short.csv:2: timestamp of '', wanted 0 to 4294967295"),
        (["payload.csv"], "payload.csv:2: payload of 'xy', wanted hexadecimal"),
        (["marker.csv"], "marker.csv:2: marker of 'yes', wanted 0 to 1"),
    ],
)
def test_what_is_wrong_is_one_clear_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    names = "arrival_ms,sequence,timestamp"
    for name, text in {
        "good": STEADY,
        "header": "time,seq\n1,2\n",
        "empty": names,
        "nothing": "",
        "time": f"{names}\n1,2,3\nsoon,2,3\n",
        "sequence": f"{names}\n1,65536,3\n",
        "short": f"{names}\n1,2\n",
        "payload": f"{names},payload\n1,2,3,xy\n",
        "marker": f"{names},marker\n1,2,3,yes\n",
    }.items():
        (tmp_path / f"{name}.csv").write_text(text)
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\0\x81")
    write_wav(tmp_path / "speech.wav", noise(0.2))
    done = simulate(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
