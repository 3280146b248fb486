"""The event bus where processes fork, loops stall and interpreters end: each in a process of its own."""

import subprocess
import sys
import textwrap


def run(program: str) -> str:
    """Runs a program to its end; it must end well, and complain of nothing."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return done.stdout.strip()


def test_exit_while_threads_publish_read_and_are_called_back() -> None:
    program = """
        import asyncio, threading
        from talkpath.bus import EventBus

        bus = EventBus.instance()
        called = threading.Event()
        bus.subscribe("s", lambda event_type, data: called.set())
        lossless = bus.subscribe("s", policy="lossless", capacity=16)
        idle = bus.subscribe("idle", policy="lossless", capacity=1)
        bus.publish("idle", "k")

        def publish(session):
            while True:
                bus.publish(session, "k", {"n": 1})

        async def read():
            async for event in bus.subscribe("s", policy="conflate"):
                pass

        for target, *arguments in [
            (publish, "s"), (publish, "s"), (publish, "idle"), (list, lossless), (asyncio.run, read())
        ]:
            threading.Thread(target=target, args=arguments, daemon=True).start()
        assert called.wait(30)
    """
    for _ in range(25):
        run(program)


def test_a_forked_child_neither_hangs_nor_takes_what_is_the_parents() -> None:
    program = """
        import asyncio, os, threading
        from talkpath.bus import EventBus

        bus = EventBus.instance()
        subscription = bus.subscribe("s", policy="lossless", capacity=16)
        stop = threading.Event()
        published = []

        def publish():
            while not stop.is_set():
                published.append(bus.publish("s", "k", "x"))

        def child():
            try:
                bus.publish("s", "k")
            except ValueError as error:
                assert "forked" in str(error)
            while subscription.drain():
                pass  # What the loop had taken before the fork.
            assert subscription.closed
            subscription.close()
            own = EventBus.instance()
            assert own is not bus
            reader, called = own.subscribe("s"), []
            own.subscribe("s", lambda event_type, data: called.append(data))

            async def main():
                own.publish("s", "k", "child")
                async for event in reader:
                    return event.data

            assert asyncio.run(main()) == "child" == called[0]

        async def main():
            threads = [threading.Thread(target=publish, daemon=True) for _ in range(3)]
            [thread.start() for thread in threads]
            got, forks = 0, 0
            async for event in subscription:
                got += 1
                assert event.sequence == got
                if forks < 20 and got == 500 * (forks + 1):
                    forks += 1
                    if (pid := os.fork()) == 0:
                        status = 1
                        try:
                            asyncio._set_running_loop(None)
                            child()
                            status = 0
                        finally:
                            os._exit(status)
                    _, status = os.waitpid(pid, 0)
                    assert status == 0, status
                if got == 11_000:
                    break
            stop.set()
            subscription.close()
            [thread.join(20) for thread in threads]
            assert not any(thread.is_alive() for thread in threads)

        asyncio.run(main())
        print("done")
    """
    assert run(program) == "done"


def test_a_forked_worker_ends_by_itself() -> None:
    program = """
        import os, sys, threading
        from talkpath.bus import EventBus

        bus = EventBus.instance()
        subscription = bus.subscribe("s")
        bus.subscribe("s", lambda event_type, data: None)
        bus.publish("s", "k", "x")
        if (pid := os.fork()) == 0:
            del bus, subscription
            sys.exit(3)
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 3
        assert len(subscription.drain()) == 1
    """
    run(program)


def test_a_stalled_loop_costs_little_memory() -> None:
    program = """
        import asyncio, resource, threading, time
        from talkpath.bus import EventBus

        def resident_kib():
            with open("/proc/self/statm") as statm:
                return int(statm.read().split()[1]) * resource.getpagesize() // 1024

        async def main():
            bus = EventBus()
            reading = bus.subscribe("s")
            meter = bus.subscribe("s", policy="conflate")
            done = threading.Event()
            before = resident_kib()

            def publish():
                for n in range(300_000):
                    bus.publish("s", "k", {"level": n})
                done.set()

            threading.Thread(target=publish).start()
            done.wait()  # The loop stands still meanwhile.
            print(resident_kib() - before)
            gap = await anext(reading)
            assert gap.count == 300_000 - 8_192, gap
            assert (await anext(meter)).data["level"] == 299_999

        asyncio.run(main())
    """
    assert int(run(program)) < 30 * 1024
