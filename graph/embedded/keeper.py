"""Keeps a program running as long as anyone uses it. Run as a script; imports nothing of Consentric.

    python keeper.py LOCK_FILE PROGRAM ARGUMENT…

Every process that uses the program holds a shared lock on LOCK_FILE, which the system takes from it however it ends,
`kill -9` included. The keeper waits for the exclusive lock; once it has that, nobody is left, and it stops the program
before it lets go. So the program belongs to all its users, not to the one that happened to start it.

What lives here: that wait, and passing on SIGTERM. What does not: which program is kept (`process.py`), the users'
side of the lock (`embedded.py`). Should the keeper itself be killed, the kernel ends the program with it (Linux).
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
    """Runs in the child before it becomes the program. The signal follows the thread that started it: our main one."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def keep(lock_file: str, command: list[str]) -> int:
    """Runs the program until it ends by itself, by SIGTERM to this process, or because nobody uses it any more."""
    lock = os.open(lock_file, os.O_RDWR | os.O_CREAT, 0o600)
    # This process has no other thread yet, so preparing the child in Python is safe.
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
