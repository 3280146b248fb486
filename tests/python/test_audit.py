"""Audit logs from Python and the command line: verdicts, exit codes, and a second implementation of the format."""

import json
import multiprocessing
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from audit_format import log, read
from talkpath import Audit, EventBus, InvalidArgument, LimitExceeded, SecretRef, SessionEnded, audit

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


def test_a_bus_is_recorded_and_another_implementation_reads_it(tmp_path: Path) -> None:
    bus, path = EventBus(), tmp_path / "audit.log"
    with bus.audit(path, kind="voice:*") as recording:
        bus.publish("call-1", "voice:x", {"n": 1, "größe": [None, 1.5]})
        bus.publish("call-1", "console", "not asked for")
        bus.publish("call-1", "voice:y", b"\0\1")
        noted = recording.flush()
        assert recording.head == noted
        stats = recording.stats()
        assert (stats.events, stats.lost, stats.waiting, stats.refusals, stats.stalled) == (2, 0, 0, 0, None)
        assert recording.path == path
    with pytest.raises(SessionEnded):
        recording.flush()
    number, kinds, said = zip(*read(path.read_bytes()), strict=True)
    assert (number, kinds) == ((1, 2, 3, 4), ("opened", "event", "event", "closed"))
    assert said[1]["payload"] == {"n": 1, "größe": [None, 1.5]}
    assert said[2]["payload"] == {"base64": "AAE="}
    assert [it["sequence"] for it in said[1:3]] == [1, 3]
    assert audit.verify(path, head=noted).verdict == "intact"


def test_secrets_are_taken_out_by_name_looks_value_and_pattern(tmp_path: Path) -> None:
    bus, path = EventBus(), tmp_path / "audit.log"
    SecretRef(bytearray(b"Xq7canary-sealed"))
    audit.know_secret("Xq7canary-known")
    with Audit(bus, path, names=["room_code"], not_names=["page_token"], patterns=["(?<secret>Xq7[0-9]+) calls"]):
        bus.publish("s", "a:b", {"password": "Xq7canary", "roomCode": "Xq7canary", "page_token": "stays"})
        bus.publish("s", "a:b", "typed Xq7canary-sealed, then Xq7canary-known; Xq7123 calls")
        bus.publish("s", "a:b", b"raw Xq7canary-known bytes")
    whole = path.read_text(errors="replace")
    assert "Xq7" not in whole
    events = [it for it in audit.records(path) if it["type"] == "event"]
    assert events[0]["payload"] == {"password": "[redacted]", "roomCode": "[redacted]", "page_token": "stays"}
    assert events[1]["payload"] == "typed [redacted], then [redacted]; [redacted] calls"
    assert audit.redact_text("token=abc") == ("token=[redacted]", 1)


def test_options_that_cannot_be_are_refused(tmp_path: Path) -> None:
    bus, path = EventBus(), tmp_path / "audit.log"
    for options in ({"sync": "x"}, {"when_full": "x"}, {"key": b"short"}, {"patterns": ["("]}, {"max_file_bytes": 1}):
        with pytest.raises(InvalidArgument):
            Audit(bus, path, **options)
    with (
        Audit(bus, path, sync="every", key=SecretRef(bytearray(b"a key of many bytes"))),
        pytest.raises(LimitExceeded, match="is writing the log, wanted one writer"),
    ):
        Audit(bus, path)
    assert audit.verify(path, key=b"a key of many bytes").verdict == "intact"


def test_at_the_end_of_the_program_the_log_is_closed(tmp_path: Path) -> None:
    program = """
        import sys, talkpath
        bus = talkpath.EventBus.instance()
        recording = bus.audit(sys.argv[1])
        for number in range(5000):
            bus.publish("s", "a:b", {"number": number})
    """
    path = tmp_path / "audit.log"
    command = [sys.executable, "-c", textwrap.dedent(program), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    report = audit.verify(path)
    assert (report.verdict, report.closed, report.records) == ("intact", True, 5002)


def _in_child(recording: Audit) -> None:
    try:
        recording.flush()
    except InvalidArgument as error:
        sys.exit(7 if "forked" in str(error) else 8)


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_forked_child_leaves_its_parents_log_alone(tmp_path: Path) -> None:
    bus, path = EventBus(), tmp_path / "audit.log"
    with bus.audit(path) as recording:
        bus.publish("s", "a:b", 1)
        child = multiprocessing.get_context("fork").Process(target=_in_child, args=(recording,))
        child.start()
        child.join(30)
        assert child.exitcode == 7
        bus.publish("s", "a:b", 2)
    report = audit.verify(path)
    assert (report.verdict, report.closed, report.records, report.findings) == ("intact", True, 4, ())
