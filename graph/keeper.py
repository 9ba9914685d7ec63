"""Starts a program that ends when its starter does, however the starter ends. Run as a script, imports no other module.

    python keeper.py exec  STARTER_PID PROGRAM ARGUMENT…    the kernel kills the program with its starter (Linux)
    python keeper.py watch STARTER_PID PROGRAM ARGUMENT…    waits on its standard input, a pipe that the starter holds

What lives here: those two ways. What does not: which program is started (`process.py`). With `exec` this process
becomes the program, so it costs nothing; with `watch` it stays beside it and passes on SIGTERM.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from types import FrameType
from typing import NoReturn

PR_SET_PDEATHSIG = 1


def exec_tied(starter: int, command: list[str]) -> NoReturn:
    """Becomes the program, to be killed when the thread that started this process ends."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != starter:  # it ended before the line above
        sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 - a fixed program, no shell


def watch(command: list[str]) -> int:
    """Runs the program until it ends or standard input does."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def pass_on(number: int, _: FrameType | None) -> None:
        child.send_signal(number)

    def wait_for_end() -> None:
        while os.read(0, 1):
            pass
        child.kill()

    signal.signal(signal.SIGTERM, pass_on)
    threading.Thread(target=wait_for_end, daemon=True).start()
    return child.wait()


if __name__ == "__main__":
    way, starter_pid, *program = sys.argv[1:]
    if way == "exec":
        exec_tied(int(starter_pid), program)
    sys.exit(watch(program))
