"""Runs a private Asterisk on loopback for one test session, and places calls on it.

Each `Pbx` has its own folder and ports, so that several run side by side and as any user. Calls are placed, and what
happens to them is waited for, over Asterisk's manager interface: no test waits for time to pass.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from caller import Caller, Tap
from debian import Tree

CONFIGURATION = Path(__file__).parent / "etc"
START_LIMIT_S = 30.0
WAIT_LIMIT_S = 60.0

Message = dict[str, str]


@dataclass(frozen=True)
class Ports:
    """Where a `Pbx` listens."""

    manager: int
    sip: int
    http: int
    websocket: int
    """Where Asterisk takes calls that it hands over by WebSocket; it listens on none of its own."""
    rtp_first: int
    rtp_count: int = 100

    @classmethod
    def choose(cls) -> Ports:
        """Takes each port from TALKPATH_TEST_{MANAGER,SIP,HTTP,WEBSOCKET,RTP}_PORT, or one that is free."""
        return cls(
            manager=_port("MANAGER", free_tcp_port),
            sip=_port("SIP", free_udp_port),
            http=_port("HTTP", free_tcp_port),
            websocket=_port("WEBSOCKET", free_tcp_port),
            rtp_first=_port("RTP", lambda: 2 * random.randrange(10_000, 15_000)),
        )


def link_or_copy(file: Path, to: Path) -> None:
    """Gives a file another name, or, where that is on another file system, copies it."""
    try:
        to.hardlink_to(file)
    except OSError:
        shutil.copyfile(file, to)


def free_tcp_port() -> int:
    """Returns a TCP port of loopback that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def free_udp_port() -> int:
    """Returns a UDP port of loopback that nothing is bound to."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _format(rate: int) -> str:
    """Returns Asterisk's name of signed linear samples at `rate`."""
    return "slin" if rate == 8000 else f"slin{rate // 1000}"


def _port(name: str, otherwise: Callable[[], int]) -> int:
    value = os.environ.get(f"TALKPATH_TEST_{name}_PORT")
    return int(value) if value else otherwise()


class Manager:
    """A connection to Asterisk's manager interface: actions with their answers, and every event since login."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._stream = self._socket.makefile("rb")
        self._events: list[Message] = []
        self._answers: dict[str, Message] = {}
        self._closed = False
        self._changed = threading.Condition()
        self._actions = 0
        self._stream.readline()
        self._reader = threading.Thread(target=self._read, name="manager", daemon=True)
        self._reader.start()

    def action(self, name: str, *variables: str, **headers: str) -> Message:
        """Sends one action and returns its answer; `variables` are `NAME=value` for an Originate."""
        with self._changed:
            self._actions += 1
            number = str(self._actions)
        lines = [f"Action: {name}", f"ActionID: {number}"]
        lines += [f"{key}: {value}" for key, value in headers.items()]
        lines += [f"Variable: {variable}" for variable in variables]
        self._socket.sendall("".join(line + "\r\n" for line in [*lines, ""]).encode())
        with self._changed:
            if not self._changed.wait_for(lambda: number in self._answers or self._closed, WAIT_LIMIT_S):
                raise TimeoutError(f"no answer to {name}")
            answer = self._answers.pop(number, {"Response": "Error", "Message": "connection closed"})
        if answer.get("Response") == "Error":
            raise RuntimeError(f"{name}: {answer}")
        return answer

    def wait_for(self, event: str, limit_s: float = WAIT_LIMIT_S, **fields: str) -> Message:
        """Returns the first event of that name, past or to come, whose fields have the values given."""

        def matching() -> Message | None:
            wanted = {"Event": event} | fields
            return next((e for e in self._events if wanted.items() <= e.items()), None)

        with self._changed:
            if not self._changed.wait_for(lambda: matching() is not None or self._closed, limit_s):
                names = [e.get("UserEvent", e.get("Event")) for e in self._events[-20:]]
                raise TimeoutError(f"no {event} {fields} within {limit_s} s; the last events were {names}")
            found = matching()
        if found is None:
            raise ConnectionError(f"Asterisk went away before {event} {fields}")
        return found

    def wait_for_more(self, limit_s: float = WAIT_LIMIT_S) -> None:
        """Waits until there is an event that was not there before."""
        with self._changed:
            count = len(self._events)
            if not self._changed.wait_for(lambda: len(self._events) > count or self._closed, limit_s):
                raise TimeoutError(f"no event within {limit_s} s")

    def events(self, event: str, **fields: str) -> list[Message]:
        """Returns the events of that name so far whose fields have the values given."""
        wanted = {"Event": event} | fields
        with self._changed:
            return [e for e in self._events if wanted.items() <= e.items()]

    def wait_for_count(self, count: int, event: str, **fields: str) -> list[Message]:
        """Returns the events of that name whose fields have the values given, once there are so many."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.events(event, **fields)) >= count, WAIT_LIMIT_S):
                raise TimeoutError(f"{len(self.events(event, **fields))} {event} {fields}, wanted {count}")
            return self.events(event, **fields)

    def close(self) -> None:
        """Closes the connection."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join()
        self._stream.close()
        self._socket.close()

    def _read_line(self) -> bytes:
        try:
            return self._stream.readline()
        except OSError:
            return b""

    def _read(self) -> None:
        message: Message = {}
        while raw := self._read_line():
            line = raw.decode(errors="replace").rstrip("\r\n")
            if line:
                key, _, value = line.partition(": ")
                message[key] = f"{message[key]}\n{value}" if key == "Output" and key in message else value
                continue
            with self._changed:
                if "Event" in message:
                    self._events.append(message)
                elif "ActionID" in message:
                    self._answers[message["ActionID"]] = message
                self._changed.notify_all()
            message = {}
        with self._changed:
            self._closed = True
            self._changed.notify_all()


@dataclass(frozen=True)
class Call:
    """A call that was placed, by its name."""

    name: str
    pbx: Pbx = field(repr=False)

    @property
    def agent_channel(self) -> str:
        """The id of the channel that the agent's extension answers."""
        return f"{self.name}-agent"

    def websocket_url(self) -> str:
        """Waits until a channel of the call waits for a WebSocket, and returns where."""
        variable = "MEDIA_WEBSOCKET_CONNECTION_ID"
        event = self.pbx.manager.wait_for("VarSet", Variable=variable, Linkedid=self.name)
        return f"ws://127.0.0.1:{self.pbx.ports.http}/media/{event['Value']}"

    def wait_until_done(self) -> None:
        """Waits until the caller has done all that it does before it hangs up."""
        self.pbx.manager.wait_for("UserEvent", UserEvent="CallerDone", Call=self.name)

    def wait_until_agent_left(self) -> str:
        """Waits until the dialplan goes on after the agent and returns why: `returned` or a DIALSTATUS.

        It goes on only where the agent's side ended: a caller who hangs up takes the dialplan along.
        """
        return self.pbx.manager.wait_for("UserEvent", UserEvent="AgentLeft", Call=self.name)["Status"]

    def wait_until_gone(self) -> None:
        """Waits until both channels of the call are gone."""
        for channel in (self.name, self.agent_channel):
            self.pbx.manager.wait_for("Hangup", Uniqueid=channel)

    def press(self, digits: str) -> None:
        """Has the caller press keys, one after the other."""
        for digit in digits:
            self.pbx.manager.action("PlayDTMF", Channel=self.name, Digit=digit, Duration="100")

    def hang_up(self) -> None:
        """Hangs up on the caller's side."""
        self.pbx.manager.action("Hangup", Channel=self.name)


class Pbx:
    """A running Asterisk. Use it as a context manager; it is stopped at the end."""

    def __init__(
        self, tree: Tree, folder: Path, ports: Ports, modules: Sequence[Path] = (), configuration: Sequence[Path] = ()
    ) -> None:
        """Lays out the folder of an Asterisk that can load `modules`, each a .so with its documentation beside it.

        The files in the folders `configuration` are added to those of the same name that every Asterisk here has, or
        are files of their own; what is loaded from the start, a `modules.conf` among them says.
        """
        self.tree = tree
        self.folder = folder
        self.ports = ports
        self._calls = 0
        for name in ("etc", "lib", "log", "modules", "run", "spool"):
            (folder / name).mkdir(parents=True)
        self._link_modules(modules)
        self._configure([CONFIGURATION, *configuration])

    def __enter__(self) -> Self:
        with (self.folder / "log" / "stdout").open("wb") as output:
            self._process = subprocess.Popen(
                [*self.tree.command("asterisk"), "-f", "-C", str(self.folder / "etc" / "asterisk.conf")],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            self.manager = self._connect()
            self.manager.action("Login", Username="talkpath", Secret="talkpath")
            self.manager.wait_for("FullyBooted", START_LIMIT_S)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.manager.close()
        self._stop()

    def command(self, line: str) -> str:
        """Runs one line of Asterisk's command line and returns what it printed."""
        return self.manager.action("Command", Command=line).get("Output", "")

    def load_module(self, name: str) -> None:
        """Loads a module; one that declines or fails is an error."""
        self.manager.action("ModuleLoad", Module=name, LoadType="load")

    def unload_module(self, name: str) -> None:
        """Unloads a module; one that is in use is an error."""
        self.manager.action("ModuleLoad", Module=name, LoadType="unload")

    def reload_module(self, name: str) -> None:
        """Has a module read its configuration again."""
        self.manager.action("ModuleLoad", Module=name, LoadType="reload")

    def complaints(self, since: int = 0) -> list[str]:
        """Returns the warnings and errors in Asterisk's log from that character on."""
        return [line for line in self.log()[since:].splitlines() if " WARNING[" in line or " ERROR[" in line]

    def send_calls_to(self, port: int) -> None:
        """Sets where the dialplan hands over every call from here on: a port of loopback."""
        self.manager.action("Setvar", Variable="AUDIO_PORT", Value=str(port))

    def press_in_calls(self, keys: str) -> None:
        """Sets which keys whoever answers a phone's number 3… presses from here on."""
        self.manager.action("Setvar", Variable="KEYS", Value=keys)

    def load_dialplan(self, text: str) -> None:
        """Adds `text` to the dialplan, in place of what was added before."""
        (self.folder / "etc" / "printed.conf").write_text(text)
        self.command("dialplan reload")

    def place(self, agent: str, caller: str, *, context: str = "agent", **variables: object) -> Call:
        """Places a call between two ends of this Asterisk, with no telephone, and returns at once.

        `agent` is the extension that answers, `caller` what the caller does (extension of the context `caller`);
        `variables` reach both.
        """
        return self._originate(agent, context, 8000, variables, Context="caller", Exten=caller, Priority="1")

    def tap(
        self, tap: Tap, agent: str, *, context: str = "agent", rate: int = 8000, **variables: object
    ) -> tuple[Call, Caller]:
        """Places a call whose caller is the test itself: it says and hears exactly what the channel does."""
        here = f"127.0.0.1:{tap.port}"
        if rate == 8000:
            end = {"Application": "AudioSocket", "Data": f"{uuid.uuid4()},{here}"}
        else:
            end = {"Application": "Dial", "Data": f"AudioSocket/{here}/{uuid.uuid4()}/c({_format(rate)})"}
        call = self._originate(agent, context, rate, variables, **end)
        return call, tap.accept(rate)

    def _originate(self, agent: str, context: str, rate: int, variables: dict[str, object], **end: str) -> Call:
        self._calls += 1
        call = Call(name=f"call-{self._calls}", pbx=self)
        self.manager.action(
            "Originate",
            *(f"__{key}={value}" for key, value in ({"CALL": call.name} | variables).items()),
            ChannelId=call.name,
            OtherChannelId=call.agent_channel,
            Channel=f"Local/{agent}@{context}/n",
            Codecs=_format(rate),
            Async="true",
            **end,
        )
        return call

    def log(self) -> str:
        """Returns Asterisk's log so far."""
        return (self.folder / "log" / "messages").read_text(errors="replace")

    def maps(self) -> str:
        """Returns which files the process has mapped, as the kernel lists them."""
        return Path(f"/proc/{self._process.pid}/maps").read_text()

    def descriptors(self) -> int:
        """Returns how many descriptors the process has open."""
        return len(list(Path(f"/proc/{self._process.pid}/fd").iterdir()))

    def fewest_descriptors(self, at_most: int | None = None) -> int:
        """Returns the lowest number of descriptors seen open within a second, or sooner one of `at_most`.

        A console that has had its answer is closed a moment later.
        """
        deadline = time.monotonic() + 1
        fewest = self.descriptors()
        while (at_most is None or fewest > at_most) and time.monotonic() < deadline:
            fewest = min(fewest, self.descriptors())
        return fewest

    def resident_kib(self) -> int:
        """Returns how much memory the process has in use."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))

    def processor_seconds(self) -> float:
        """Returns how much time of a processor the process has taken so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _link_modules(self, modules: Sequence[Path]) -> None:
        """Gives this Asterisk folders of modules and of data of its own, so that the tree stays as it was fetched.

        Over the manager's interface it unloads none that is a link to somewhere else.
        """
        for module in (*self.tree.modules.glob("*.so"), *modules):
            link_or_copy(module, self.folder / "modules" / module.name)
        shared = self.tree.root / "usr/share/asterisk"
        documentation = self.folder / "data" / "documentation"
        (documentation / "thirdparty").mkdir(parents=True)
        for entry in (*shared.iterdir(), *(shared / "documentation").iterdir()):
            link = self.folder / "data" / entry.relative_to(shared)
            if not link.exists():
                link.symlink_to(entry)
        for module in modules:
            text = module.with_name(f"{module.stem}-en_US.xml")
            (documentation / "thirdparty" / text.name).symlink_to(text)

    def _configure(self, folders: Sequence[Path]) -> None:
        values = {
            "run": self.folder,
            "tree": self.tree.root,
            "manager_port": self.ports.manager,
            "sip_port": self.ports.sip,
            "http_port": self.ports.http,
            "websocket_port": self.ports.websocket,
            "rtp_first_port": self.ports.rtp_first,
            "rtp_last_port": self.ports.rtp_first + self.ports.rtp_count - 1,
        }
        for template in (file for folder in folders for file in folder.glob("*.conf")):
            text = template.read_text()
            for name, value in values.items():
                text = text.replace(f"@{name}@", str(value))
            with (self.folder / "etc" / template.name).open("a") as file:
                file.write(text)

    def _connect(self) -> Manager:
        deadline = time.monotonic() + START_LIMIT_S
        while True:
            try:
                return Manager(self.ports.manager)
            except ConnectionRefusedError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    output = (self.folder / "log" / "stdout").read_text(errors="replace")
                    raise RuntimeError(f"Asterisk did not start:\n{output[-3000:]}") from None
                # The one wait for time in these tests: a listening socket that is not there yet cannot be waited for.
                time.sleep(0.02)

    def _stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
