"""The words of earlier agents: shells by id and text, and the one who ends everything."""

import asyncio
import signal
import subprocess
import sys
import threading
import time

import pytest

from gone import wait_gone
from talkpath import EventBus, ProcessLifecycleManager, ProcessManager, send_shell_input, start_interactive_shell


def started(text, command):
    begin, end = f"Started interactive process '{command}'. ID: ", ". Output will stream to console."
    assert text.startswith(begin)
    assert text.endswith(end)
    return text.removeprefix(begin).removesuffix(end)


def test_a_shell_talks_on_the_console(tmp_path):
    async def talk():
        events = EventBus.instance().subscribe("shell-1", "console")
        command = "pwd; read name; echo hello $name; exit 3"
        process_id = started(start_interactive_shell(command, tmp_path, session_id="shell-1"), command)
        said = []
        async for event in events:
            said.append(event.data["payload"])
            if len(said) == 1:
                assert send_shell_input(process_id, "Bob") == f"Sent input to process {process_id}."
            if "exited" in said[-1]:
                break
        events.close()
        return process_id, said

    process_id, said = asyncio.run(asyncio.wait_for(talk(), 60))
    assert said == [
        f"[{process_id}] {tmp_path}",
        f"[{process_id}] hello Bob",
        f"[{process_id}] Process exited with code 3.",
    ]
    assert send_shell_input(process_id, "more") == f"Error: Process {process_id} has already exited."


def test_a_callback_gets_lines_as_they_come(tmp_path):
    lines, over = [], threading.Event()

    def cb(event_type, data):
        lines.append((event_type, data))
        if event_type == "process:exited":
            over.set()

    bus = EventBus.instance()
    bus.subscribe("shell-2", cb)
    start_interactive_shell("echo one", tmp_path, session_id="shell-2")
    assert over.wait(30)
    bus.unsubscribe("shell-2", cb)
    assert [data["line"] for kind, data in lines if kind == "console" and "line" in data] == ["one"]


def test_unknown_ids_and_what_cannot_start():
    assert send_shell_input("none", "x") == "Error: Process none not found or not running."
    assert start_interactive_shell("true", "/no/such/directory").startswith("Error: ")


def test_input_for_who_does_not_read_does_not_wait(tmp_path):
    process_id = started(start_interactive_shell("exec sleep 60", tmp_path), "exec sleep 60")
    before = time.monotonic()
    for _ in range(20):
        assert send_shell_input(process_id, "x" * 100_000).startswith("Sent")
    assert time.monotonic() - before < 20
    ProcessManager.instance().get(process_id).sync.kill()


def test_registered_and_found():
    manager = ProcessLifecycleManager.instance()
    assert manager is ProcessLifecycleManager.instance()
    popen = subprocess.Popen(["sleep", "60"])
    assert manager.register(popen) == str(popen.pid)
    assert manager.get(str(popen.pid)) is popen
    manager.unregister(popen)
    assert manager.get(str(popen.pid)) is None
    assert manager.register(popen, "mine") == "mine"
    manager.unregister("mine")
    manager.unregister("mine")
    manager.kill_all()
    assert popen.poll() is None
    popen.kill()
    popen.wait()


def test_the_first_call_from_many_threads_makes_one():
    script = """
import threading
from talkpath import ProcessLifecycleManager
found, gate = [], threading.Barrier(16)
def look():
    gate.wait()
    found.append(ProcessLifecycleManager.instance())
threads = [threading.Thread(target=look) for _ in range(16)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert len(found) == 16 and len(set(map(id, found))) == 1
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_whole_trees_end_with_kill_all():
    manager = ProcessLifecycleManager.instance()
    script = "trap '' TERM; setsid sleep 60 & echo $!; while :; do sleep 60; done"
    popen = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True)
    ours = ProcessManager.instance().sync.start(shell=script)
    manager.register(popen)
    manager.register(ours, ours.id)
    grandchildren = [int(popen.stdout.readline()), int(next(iter(ours)))]
    manager.kill_all()
    popen.stdout.close()
    assert popen.returncode == -signal.SIGKILL
    assert ours.exit.signal == signal.SIGKILL
    assert manager.get(ours.id) is None
    for pid in grandchildren:
        wait_gone(pid)


@pytest.mark.parametrize("end", ["signal.raise_signal(signal.SIGKILL)", "sys.exit(0)"])
def test_registered_popens_end_with_the_agent(end):
    script = f"""
import signal, subprocess, sys
from talkpath import ProcessLifecycleManager
popen = subprocess.Popen(["sh", "-c", "sleep 60 & echo $!; wait"], stdout=subprocess.PIPE, text=True)
manager = ProcessLifecycleManager.instance()
manager.register(popen)
# A word with the guardian: what was asked of it before has been heard.
from talkpath import ProcessManager
ProcessManager.instance().sync.start(["true"])
print(popen.pid, popen.stdout.readline(), flush=True)
{end}
"""
    command = [sys.executable, "-W", "ignore", "-c", script]
    agent = subprocess.run(command, timeout=60, stdout=subprocess.PIPE, text=True, check=False)
    assert len(agent.stdout.split()) == 2
    for pid in agent.stdout.split():
        wait_gone(int(pid))
