"""Audit logs from Python and the command line: verdicts, exit codes, and a second implementation of the format."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from audit_format import log
from talkpath import InvalidArgument, audit

RECORDS = [("opened", {}), ("event", {"session": "s", "payload": {"a": [1, "ü"]}}), ("event", {}), ("closed", {})]


def run(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "talkpath", "audit", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "audit.log"
    path.write_bytes(log(RECORDS))
    return path


def test_a_log_of_another_implementation_verifies_and_shows(file: Path) -> None:
    report = audit.verify(file)
    assert (report.verdict, report.closed, report.records, report.findings) == ("intact", True, 4, ())
    assert (report.first_record, report.last_record) == (1, 4)
    assert report.head == f"4:{file.read_bytes()[-32:].hex()}"
    shown = list(audit.records(file))
    assert [it["type"] for it in shown] == ["opened", "event", "event", "closed"]
    assert shown[1] == {
        "record": 2,
        "written_us": 1_700_000_000_000_000,
        "type": "event",
        "session": "s",
        "payload": {"a": [1, "ü"]},
    }


def test_a_keyed_log_wants_its_key(tmp_path: Path) -> None:
    path, key = tmp_path / "audit.log", b"sixteen bytes...."
    path.write_bytes(log(RECORDS, key))
    assert audit.verify(path, key=key).verdict == "intact"
    assert audit.verify(path, key=b"sixteen other bytes").verdict == "broken"
    with pytest.raises(InvalidArgument, match="no key, wanted the log's"):
        audit.verify(path)
    (tmp_path / "key").write_bytes(key)
    assert run("verify", path, "--key-file", tmp_path / "key").returncode == 0


def test_a_head_of_earlier_is_looked_for(file: Path) -> None:
    head = audit.verify(file).head
    whole = file.read_bytes()
    assert audit.verify(file, head=head).verdict == "intact"
    file.write_bytes(log(RECORDS[:-1]))
    assert audit.verify(file).verdict == "intact"
    assert audit.verify(file, head=head).verdict == "broken"
    with pytest.raises(InvalidArgument, match="wanted NUMBER:64 hexadecimal digits"):
        audit.verify(file, head="4:ab")
    assert len(whole) > file.stat().st_size


def test_exit_codes_tell_what_was_found(file: Path) -> None:
    whole = file.read_bytes()
    done = run("verify", file, "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["verdict"] == "intact"
    assert f"intact: 4 records in 1 files, closed, head 4:{whole[-32:].hex()}" in done.stderr

    changed = bytearray(whole)
    changed[whole.index(b'"session"') + 1] ^= 1
    file.write_bytes(changed)
    done = run("verify", file)
    assert done.returncode == 1
    assert f"BROKEN: {file}: record 2, byte 191: the checksum does not hold" in done.stderr

    file.write_bytes(whole[:-1])
    done = run("verify", file)
    assert done.returncode == 3
    assert "torn" in done.stderr

    assert run("verify", file.with_name("none")).returncode == 2
    assert run("verify").returncode == 2
    assert run("verify", file, "--head", "x").returncode == 2


def test_show_prints_lines_of_json_over_damage(file: Path) -> None:
    whole = bytearray(file.read_bytes())
    whole[whole.index(b'"session"') + 1] ^= 1
    file.write_bytes(whole[:-1])
    done = run("show", file)
    assert done.returncode == 0
    shown = [json.loads(line) for line in done.stdout.splitlines()]
    assert [it["type"] for it in shown] == ["opened", "unreadable", "event", "unreadable"]
    assert [json.loads(it)["record"] for it in run("show", file, "--type", "event").stdout.splitlines()] == [3]
    assert run("show", Path(__file__)).returncode == 2


def test_show_ends_quietly_when_nobody_reads_on(file: Path) -> None:
    file.write_bytes(log([("event", {"text": "x" * 100})] * 3000))
    command = [sys.executable, "-m", "talkpath", "audit", "show", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0
