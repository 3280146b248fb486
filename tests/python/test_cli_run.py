"""`talkpath run` and `talkpath ps`, as a person uses them."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from gone import wait_gone

TALKPATH = [sys.executable, "-m", "talkpath"]


def run(*arguments, **options):
    return subprocess.run([*TALKPATH, "run", *arguments], capture_output=True, timeout=60, check=False, **options)


def begin(*arguments):
    process = subprocess.Popen([*TALKPATH, "run", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    return process, process.stdout


def test_output_and_exit_code_pass_through():
    done = run("--", "sh", "-c", "printf out; printf err >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, b"out", b"err")
    assert run("--", "sh", "-c", "kill -TERM $$").returncode == 128 + signal.SIGTERM
    assert run("--", "sh", "-c", "exit 143").returncode == 143


def test_input_passes_through():
    text = os.urandom(300_000)
    assert run("--", "cat", input=text).stdout == text


def test_what_cannot_be_run():
    assert run("--", "no-such-program").returncode == 127
    assert run("--", "/etc/passwd").returncode == 126
    assert run("--tier", "none", "--", "true").returncode == 2


def test_the_environment_is_a_list():
    environment = {**os.environ, "API_KEY": "s3cret", "WANTED": "yes"}
    done = run("--env", "WANTED", "--env", "SET=1", "--", "env", env=environment)
    assert b"s3cret" not in done.stdout
    assert b"WANTED=yes\n" in done.stdout
    assert b"SET=1\n" in done.stdout


def test_a_terminal():
    done = run("--pty", "--", "sh", "-c", "test -t 0 && test -t 1 && echo yes", stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stdout) == (0, b"yes\r\n")


def test_a_limit_is_named():
    done = run("--limit-wall", "0.1", "--", "sleep", "60")
    assert done.returncode == 128 + signal.SIGKILL
    assert b"wall time" in done.stderr


def test_the_first_ctrl_c_is_passed_on_once():
    process, said = begin(
        "--", "sh", "-c", "trap 'echo interrupted; exit 5' INT; echo ready; while :; do sleep 0.05; done"
    )
    assert said.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    assert said.read() == b"interrupted\n"
    said.close()
    assert process.wait(30) == 5


def test_the_second_ctrl_c_kills():
    process, said = begin("--", "sh", "-c", "trap 'echo no' INT; echo ready; while :; do sleep 0.05; done")
    assert said.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    assert said.readline() == b"no\n"
    process.send_signal(signal.SIGINT)
    said.close()
    assert process.wait(30) == 128 + signal.SIGKILL


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left(number):
    process, said = begin("--", "sh", "-c", "setsid sleep 60 & echo $!; wait")
    left = int(said.readline())
    process.send_signal(number)
    said.close()
    process.wait(30)
    wait_gone(left)


def test_what_the_command_leaves_running_ends_with_it():
    done = run("--", "sh", "-c", "setsid sleep 60 > /dev/null 2>&1 & echo $!")
    assert done.returncode == 0
    wait_gone(int(done.stdout))


def test_ps_lists_and_shows_no_argument():
    process, said = begin("--", "sh", "-c", "echo ready; exec sleep 60", "s3cret")
    assert said.readline() == b"ready\n"
    mine = []
    deadline = time.monotonic() + 30
    while not mine:
        assert time.monotonic() < deadline, "it is not listed"
        listed = subprocess.run([*TALKPATH, "ps", "--json"], capture_output=True, timeout=60, check=True).stdout
        mine = [row for row in json.loads(listed) if row["agent"] == process.pid]
    assert b"s3cret" not in listed
    assert mine[0]["command"] == "sh (3 arguments)"
    assert mine[0]["age_s"] < 60
    for_people = subprocess.run([*TALKPATH, "ps"], capture_output=True, timeout=60, check=True).stderr.decode()
    assert mine[0]["id"] in for_people
    assert str(mine[0]["pid"]) in for_people
    process.send_signal(signal.SIGKILL)
    said.close()
    process.wait(30)
    listed = subprocess.run([*TALKPATH, "ps", "--json"], capture_output=True, timeout=60, check=True).stdout
    assert not [row for row in json.loads(listed) if row["agent"] == process.pid]
