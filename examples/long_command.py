"""An agent runs a long command, streams what it says, answers its prompt, and leaves nothing behind, however it ends.

    python examples/long_command.py          to its end
    python examples/long_command.py --die    killed half way, as by the system: look for what is left with `talkpath ps`

The command stands for whatever takes long and asks in between: a deployment, a test run, an installer. It starts a
helper of its own in a session of its own, which is what usually survives.
"""

import asyncio
import os
import signal
import sys

from talkpath import ProcessManager

COMMAND = """
setsid sleep 3600 > /dev/null 2>&1 & echo "helper $!"
for step in 1 2 3; do echo "step $step of 3"; done
printf 'Go on? [y/N] '; read answer
[ "$answer" = y ] || exit 1
echo "done"
"""


async def main(die: bool) -> int:
    """Runs the command; the exit code is its own."""
    async with ProcessManager() as manager:
        process = await manager.start(shell=COMMAND, pty=True, limits={"wall_s": 600})
        print(f"started {process.id}, process {process.pid}", flush=True)
        async for line in process.lines(clean=True):
            # A line comes with its newline, a prompt as it stands.
            print(line, end="", flush=True)
            if line.endswith("[y/N] "):
                if die:
                    os.kill(os.getpid(), signal.SIGKILL)
                await process.send_line("y", timeout=5)
        ended = await process.wait()
    print(f"ended with {ended}")
    return ended.code if ended.code is not None else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main("--die" in sys.argv)))
