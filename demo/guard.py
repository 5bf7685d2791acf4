"""Outlives the demo by a moment: when the demo is gone, however it ended, kills every process group it had started.

Standard library only. Reads `+<group>` and `-<group>` lines; end of input means that the demo is gone.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
# Loaded at import: between fork and exec is no place to load a library.
_prctl = ctypes.CDLL(None, use_errno=True).prctl


def die_with_parent(how: int = signal.SIGKILL) -> None:
    """Ask the kernel to send this process `how` when its parent ends."""
    _prctl(PR_SET_PDEATHSIG, how)


def main() -> None:
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        (groups.add if line[0] == "+" else groups.discard)(group)
    for group in groups:
        kill_group(group)


def kill_group(group: int, how: int = signal.SIGKILL) -> bool:
    """Signal a process group; False if nothing is left of it."""
    try:
        os.killpg(group, how)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    main()
