"""Secrets from Python: what is lent, what is shown, what is refused, and what other readers of age make of a store."""

import base64
import copy
import json
import logging
import os
import pickle
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import talkpath
from talkpath.secret import SecretRef, SecretStore, is_hardened, read_env_file, secret_protection


def make(tmp_path: Path, **secrets: bytes) -> tuple[Path, str]:
    store, source = tmp_path / "secrets.age", f"file:{tmp_path / 'key'}"
    made = SecretStore.create(store, source=source)
    for name, value in secrets.items():
        made.set(name, bytearray(value))
    return store, source


def value(secret: SecretRef) -> bytes:
    with secret.open() as view:
        return bytes(view)


def run(*arguments: str, given: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    command = [sys.executable, "-m", "talkpath", "secret", *arguments]
    return subprocess.run(command, input=given, capture_output=True, timeout=60, check=False)


def test_a_store_keeps_what_is_set(tmp_path: Path) -> None:
    path, source = make(tmp_path, PROVIDER_KEY=b"sk-live-1", OTHER=b"\x00\xff")
    store = SecretStore.open(path, source=source)
    assert value(store["PROVIDER_KEY"]) == b"sk-live-1"
    assert value(store["OTHER"]) == b"\x00\xff"
    assert ("OTHER" in store, "NONE" in store, len(store)) == (True, False, 2)
    store.rotate("OTHER", SecretRef(bytearray(b"new"), name="elsewhere"))
    store.delete("PROVIDER_KEY")
    again = SecretStore.open(path, source=["file:/nowhere/key", source])
    (info,) = again.list()
    assert info.name == "OTHER"
    assert info.rotated is not None
    assert info.rotated >= info.created > 1_700_000_000
    assert again["OTHER"].name == "OTHER"
    with pytest.raises(talkpath.NotFound, match=r"^the store has no secret PROVIDER_KEY$"):
        again["PROVIDER_KEY"]
    with pytest.raises(KeyError):
        again.delete("PROVIDER_KEY")
    with pytest.raises(ValueError, match="has a secret OTHER already"):
        again.set("OTHER", bytearray(b"x"))


def test_values_are_taken_from_who_gives_them() -> None:
    given = bytearray(b"sk-live-1")
    secret = SecretRef(given, name="KEY")
    assert given == bytes(9)
    assert value(secret) == b"sk-live-1"
    for wrong in ("sk-live-1", b"sk-live-1", 5):
        with pytest.raises(TypeError, match=r"which cannot be wiped; wanted a bytearray") as refused:
            SecretRef(wrong)  # type: ignore[arg-type]
        assert "sk-live" not in str(refused.value)


def test_the_view_is_wiped_at_the_blocks_end() -> None:
    secret = SecretRef(bytearray(b"sk-live-1"), name="KEY")
    with secret.open() as view:
        assert (view.readonly, view.tobytes()) == (True, b"sk-live-1")
        kept = view[3:]
    with pytest.raises(ValueError, match="released"):
        view.tobytes()
    assert bytes(kept) == bytes(6)
    block = secret.open()
    with block as first, secret.open() as second:
        assert first == second
        with pytest.raises(ValueError, match="entered already"):
            block.__enter__()
    with pytest.raises(ZeroDivisionError), secret.open() as view:
        _ = 1 / 0
    with pytest.raises(ValueError, match="released"):
        view.tobytes()


def test_it_shows_its_name_alone(caplog: pytest.LogCaptureFixture) -> None:
    secret = SecretRef(bytearray(b"canary"), name="KEY")
    assert repr(secret) == "SecretRef(KEY)"
    assert json.dumps({"key": secret}, default=repr) == '{"key": "SecretRef(KEY)"}'
    for show in (str, "{}".format, lambda secret: f"Bearer {secret}"):
        with pytest.raises(TypeError, match=r"^a SecretRef has no text: open\(\) it"):
            show(secret)
    for take in (bytes, bytearray, memoryview, list, len, json.dumps, pickle.dumps, lambda secret: vars(secret)):
        with pytest.raises(TypeError):
            take(secret)
    assert copy.copy(secret) is secret
    assert copy.deepcopy([secret])[0] is secret
    with caplog.at_level(logging.INFO):
        logging.getLogger("agent").info("%r", secret)
    assert "canary" not in caplog.text
    with pytest.raises(TypeError):
        type("Sub", (SecretRef,), {})


def test_comparing_tells_nothing_but_by_matches() -> None:
    one, two = SecretRef(bytearray(b"4711")), SecretRef(bytearray(b"4711"))
    assert one != two
    assert (one.matches(b"4711"), one.matches(bytearray(b"4712")), one.matches(b"")) == (True, False, False)
    with pytest.raises(TypeError, match="a candidate of type str"):
        one.matches("4711")  # type: ignore[arg-type]


def test_sources_are_explicit_and_each_failure_says_why(tmp_path: Path) -> None:
    path, source = make(tmp_path)
    with pytest.raises(TypeError):
        SecretStore.open(path)  # type: ignore[call-arg]
    with pytest.raises(PermissionError, match=r"no source of the key was named"):
        SecretStore.open(path, source=[])
    (tmp_path / "key").chmod(0o644)
    with pytest.raises(
        talkpath.AccessDenied, match=r"file:.*has mode 0644.*; systemd:talkpath: not started by systemd"
    ):
        SecretStore.open(path, source=[source, "systemd:talkpath"])
    with pytest.raises(talkpath.InvalidArgument, match=r"wanted|neither"):
        SecretStore.open(path, source=[5])  # type: ignore[list-item]
    with pytest.raises(talkpath.InvalidArgument) as refused:
        SecretStore.open(path, source="sk-live-1")
    assert "sk-live" not in str(refused.value)


def test_a_systemd_credential_opens_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, _ = make(tmp_path, KEY=b"value")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "key").chmod(0o440)
    assert value(SecretStore.open(path, source="systemd:key")["KEY"]) == b"value"
    (tmp_path / "key").chmod(0o444)
    with pytest.raises(talkpath.AccessDenied, match=r"credential .*has mode 0444"):
        SecretStore.open(path, source="systemd:key")
    with pytest.raises(talkpath.InvalidArgument):
        SecretStore.open(path, source="systemd:../key")
    with pytest.raises(talkpath.InvalidArgument, match="systemd-creds encrypt --name=key"):
        SecretStore.create(tmp_path / "new.age", source="systemd:key")


def test_a_passphrase_opens_it(tmp_path: Path) -> None:
    path = tmp_path / "secrets.age"
    SecretStore.create(path, source=SecretRef(bytearray(b"correct horse"))).set("KEY", bytearray(b"value"))
    assert value(SecretStore.open(path, source=SecretRef(bytearray(b"correct horse")))["KEY"]) == b"value"


def test_other_readers_of_age_open_it(tmp_path: Path) -> None:
    pyrage = pytest.importorskip("pyrage")
    path, source = make(tmp_path, KEY=b"value\n", LONG=b"x" * 60_000, LONGER=b"y" * 60_000)
    identity = pyrage.x25519.Identity.from_str((tmp_path / "key").read_text().strip())
    document = json.loads(pyrage.decrypt(path.read_bytes(), [identity]))
    assert document["version"] == 1
    assert base64.b64decode(document["secrets"]["KEY"]["value"]) == b"value\n"
    assert base64.b64decode(document["secrets"]["LONGER"]["value"]) == b"y" * 60_000
    store = SecretStore.open(path, source=source)
    assert store.recipient == str(identity.to_public())

    document["secrets"]["ADDED"] = {"value": base64.b64encode(b"by hand").decode(), "created": 1}
    path.write_bytes(pyrage.encrypt(json.dumps(document, indent=4).encode(), [identity.to_public()]))
    store.reload()
    assert value(store["ADDED"]) == b"by hand"
    assert value(store["LONG"]) == b"x" * 60_000


@pytest.mark.parametrize("document", [
    {"version": 2, "secrets": {"KEY": {"canary": 1}}},
    {"version": 1, "secrets": {"KEY": {"value": "canary!", "created": 1}}},
    {"version": 1, "secrets": {"KEY": {"value": "Y2FuYXJ5"}}},
    {"version": 1, "secrets": {"KEY": "canary"}},
    {"version": 1, "secrets": {"KEY": {"value": "Y2FuYXJ5", "created": 1, "canary": "canary"}}},
    {"version": 1, "secrets": {"KEY": {"value": "Y2FuYXJ5", "created": "canary"}}},
    {"version": 1, "secrets": {"a\\canary": {"value": "Y2FuYXJ5", "created": 1}}},
    {"version": 1, "secrets": {"1canary": {"value": "Y2FuYXJ5", "created": 1}}},
    ["canary"],
    {},
])  # fmt: skip
def test_contents_of_another_form_are_refused_without_showing_them(tmp_path: Path, document: object) -> None:
    pyrage = pytest.importorskip("pyrage")
    path, source = make(tmp_path)
    recipient = pyrage.x25519.Recipient.from_str(SecretStore.open(path, source=source).recipient)
    path.write_bytes(pyrage.encrypt(json.dumps(document).encode(), [recipient]))
    with pytest.raises(talkpath.TalkpathError, match=r"secrets\.age: ") as refused:
        SecretStore.open(path, source=source)
    assert "canary" not in str(refused.value)
    assert "Y2Fu" not in str(refused.value)


def test_a_forked_child_is_refused_and_opens_its_own(tmp_path: Path) -> None:
    program = """
import os, sys, warnings
import talkpath
from talkpath.secret import SecretStore
warnings.simplefilter("ignore", DeprecationWarning)
path, source = sys.argv[1:]
secret = SecretStore.open(path, source=source)["KEY"]
with secret.open() as view:
    if (child := os.fork()) == 0:
        try:
            secret.open().__enter__()
        except talkpath.AccessDenied as error:
            refused = "was forked" in str(error)
        held = bytes(view)
        with SecretStore.open(path, source=source)["KEY"].open() as own:
            os._exit(0 if refused and held == bytes(5) and own == b"value" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert view == b"value"
with secret.open() as view:
    assert view == b"value"
"""
    path, source = make(tmp_path, KEY=b"value")
    subprocess.run([sys.executable, "-c", program, str(path), source], timeout=60, check=True)


def test_hardening_is_asked_for_and_told() -> None:
    program = """
import talkpath
from talkpath.secret import is_hardened
print(is_hardened())
talkpath.harden()
print(is_hardened())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["False", "True"]
    assert not is_hardened()
    assert secret_protection() in ("secret-memory", "locked", "unlocked")


def test_an_env_file_is_read_into_secrets(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(
        "# comment\n\nPLAIN=sk-1 # comment\nexport QUOTED = 'a # b'\n"
        'ESCAPED="a\\nb\\"\\\\"  # comment\nHASH=a#b\nEMPTY=\n'
    )
    assert {secret.name: value(secret) for secret in read_env_file(file)} == {
        "PLAIN": b"sk-1",
        "QUOTED": b"a # b",
        "ESCAPED": b'a\nb"\\',
        "HASH": b"a#b",
    }
    for wrong in ("canary", "=canary", "1=canary", "A='canary", "A='canary'canary"):
        file.write_text(f"GOOD=1\n{wrong}\n")
        with pytest.raises(talkpath.InvalidArgument, match=r"\.env, line 2: ") as refused:
            read_env_file(file)
        assert "canary" not in str(refused.value)


def test_the_command_line_keeps_secrets(tmp_path: Path) -> None:
    options = ("--store", str(tmp_path / "s.age"), "--key", f"file:{tmp_path / 'key'}")
    assert run("init", *options).returncode == 0
    assert run("init", *options).returncode == 1
    assert run("set", "KEY", *options, given=b"old\n").returncode == 0
    assert run("set", "KEY", *options, given=b"new").returncode == 2
    assert run("rotate", "KEY", *options, given=b"new\r\n").returncode == 0
    assert run("get", "KEY", *options).stdout == b"new"
    (tmp_path / ".env").write_text("ONE=1\nTWO=2\n")
    imported = run("import", str(tmp_path / ".env"), *options)
    assert (imported.returncode, b"imported 2: ONE, TWO" in imported.stderr) == (0, True)
    listed = json.loads(run("list", *options).stdout)
    assert [secret["name"] for secret in listed] == ["KEY", "ONE", "TWO"]
    assert listed[0]["rotated"] is not None
    assert run("delete", "ONE", *options).returncode == 0
    missing = run("get", "ONE", *options)
    assert (missing.returncode, missing.stdout) == (1, b"")
    assert b"the store has no secret ONE" in missing.stderr
    assert run("set", "KEY", "sk-live-1", *options).returncode == 2


def test_the_doctor_tells_each_source_apart(tmp_path: Path) -> None:
    path, source = make(tmp_path, KEY=b"canary")
    healthy = run("doctor", "--store", str(path), "--key", source)
    assert healthy.returncode == 0
    found = json.loads(healthy.stdout)
    assert [finding["what"] for finding in found] == ["memory", "core dumps", "store"]
    assert found[2] == {"what": "store", "verdict": "good", "says": f"{path} opens by {source} and holds 1 secrets"}
    (tmp_path / "key").chmod(0o644)
    ill = run("doctor", "--store", str(path), "--key", source, "--key", "keyring:talkpath-none")
    assert ill.returncode == 1
    says = [finding["says"] for finding in json.loads(ill.stdout) if finding["verdict"] == "problem"]
    assert len(says) == 2
    assert "has mode 0644" in says[0]
    assert 'key "talkpath-none"' in says[1]
    assert b"canary" not in healthy.stdout + healthy.stderr


class Terminal:
    """`talkpath secret …` on a terminal of its own."""

    def __init__(self, *arguments: str) -> None:
        self.said = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(sys.executable, [sys.executable, "-m", "talkpath", "secret", *arguments])

    def wait_for(self, met: Callable[[bytes], bool]) -> None:
        deadline = time.monotonic() + 30
        while not met(self.said):
            ready, _, _ = select.select([self.fd], [], [], max(0, deadline - time.monotonic()))
            assert ready, self.said
            try:
                self.said += os.read(self.fd, 4096)
            except OSError:  # what a terminal's reader gets when the last program on it has ended
                return

    def type(self, text: bytes) -> None:
        os.write(self.fd, text)

    def end(self) -> int:
        self.wait_for(lambda said: False)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_a_terminal_is_asked_without_echo(tmp_path: Path) -> None:
    options = ("--store", str(tmp_path / "s.age"), "--key", f"file:{tmp_path / 'key'}")
    run("init", *options)
    terminal = Terminal("set", "KEY", *options)
    terminal.wait_for(lambda said: said.endswith(b"KEY: "))
    terminal.type(b"wrong\x15canarx\x7fy-\xc3\xa9\x7f" + b"x" * 5000 + b"\r")
    assert terminal.end() == 0
    assert b"canar" not in terminal.said
    assert b"xx" not in terminal.said
    assert run("get", "KEY", *options).stdout == b"canary-" + b"x" * 5000

    refused = Terminal("get", "KEY", *options)
    assert refused.end() == 2
    assert b"canar" not in refused.said
    shown = Terminal("get", "KEY", "--show", *options)
    assert shown.end() == 0
    assert b"canary-xx" in shown.said

    given_up = Terminal("rotate", "KEY", *options)
    given_up.wait_for(lambda said: said.endswith(b"KEY: "))
    given_up.type(b"abc\x03")
    assert given_up.end() == 1
    assert b"was given up" in given_up.said


def test_a_passphrase_is_asked_for_twice_when_it_is_new(tmp_path: Path) -> None:
    options = ("--store", str(tmp_path / "s.age"), "--key", "passphrase")
    for second, code in ((b"something else\r", 2), (b"correct horse\r", 0)):
        terminal = Terminal("init", *options)
        terminal.wait_for(lambda said: said.endswith(b"New passphrase of the secret store: "))
        terminal.type(b"correct horse\r")
        terminal.wait_for(lambda said: said.endswith(b"once more: "))
        terminal.type(second)
        assert terminal.end() == code
        assert b"horse" not in terminal.said
    terminal = Terminal("list", *options)
    terminal.wait_for(lambda said: said.endswith(b"Passphrase of the secret store: "))
    terminal.type(b"correct horse\r")
    assert terminal.end() == 0
    assert b"[]" in terminal.said
