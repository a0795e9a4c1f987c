"""Becomes the nats-server: run by path as `python -I -S child.py LOCK PARENT PROGRAM ARGUMENT...`.

The server holds the lock as long as it lives, however it ends, so two never use one folder. On Linux it ends with the
thread that started it, even at kill -9. Imports little, as its start is waited for.
"""

import os
import signal
import sys

TAKEN = 75  # the exit status if another server holds the lock
ORPHANED = 76
SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)


def become(lock: str, parent: int, program: str, arguments: list[str]) -> int:
    """Become the program. Returns an exit status if that must not be."""
    import fcntl  # not on Windows, where other modules need the numbers above

    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(SET_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the line above
        return ORPHANED
    held = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return TAKEN
    folder = os.path.dirname(lock)
    for name in os.listdir(folder):
        if name.endswith(".ports"):
            os.unlink(os.path.join(folder, name))
    os.ftruncate(held, 0)
    os.write(held, str(os.getpid()).encode())
    os.set_inheritable(held, True)
    os.execv(program, [program, *arguments])
    return 1


if __name__ == "__main__":
    sys.exit(become(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4:]))
