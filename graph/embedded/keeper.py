"""Keeps a program running for as long as it is in use. Run as a script; imports nothing of Consentric.

    python keeper.py LOCK_FILE PROGRAM ARGUMENT…

Every process that uses the program holds a shared lock on LOCK_FILE, which the system frees however the process ends,
including by `kill -9`. The keeper waits for the exclusive lock. Once it holds that lock, no user is left, so it stops
the program and only then frees the lock. The program thus belongs to all of its users, not to the one that started it.
If the keeper itself is killed, the kernel ends the program with it (Linux).
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import threading
from types import FrameType

PR_SET_PDEATHSIG = 1
STOP_SECONDS = 10.0


def end_with_parent() -> None:
    """Has the kernel end the child with its parent. Runs in the child before exec.

    The signal is sent when the thread that started the child ends: our main thread.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def keep(lock_file: str, command: list[str]) -> int:
    """Runs the program until it ends by itself, by SIGTERM to this process, or because it is no longer in use.

    Returns the program's exit status.
    """
    lock = os.open(lock_file, os.O_RDWR | os.O_CREAT, 0o600)
    # This process has a single thread so far, so running Python in the child before exec is safe.
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=end_with_parent)  # noqa: PLW1509

    def pass_on(number: int, _: FrameType | None) -> None:
        child.send_signal(number)

    def stop_when_unused() -> None:
        fcntl.flock(lock, fcntl.LOCK_EX)
        child.terminate()
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()

    signal.signal(signal.SIGTERM, pass_on)
    threading.Thread(target=stop_when_unused, daemon=True).start()
    return child.wait()


if __name__ == "__main__":
    sys.exit(keep(sys.argv[1], sys.argv[2:]))
