"""What the C library does with memory that a program gives back."""

from __future__ import annotations

import ctypes
import platform

# parameters of mallopt(3)
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_LARGEST = 2**31 - 1


def keep_freed_memory() -> bool:
    """Let this process keep freed memory for its next allocation; returns whether it will.

    For programs on CPU: XLA frees a compiled program's temporaries after every call and allocates
    them again at the next one. In between, glibc returns anything above 32 MB to the system, so
    every dispatch has a page fault for each 4 kB. Call it before JAX starts its threads; what the
    process has once used it then keeps. False where the C library is not glibc.

    Returns:
      Whether it will.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    # one arena: the others are made of pieces that are too small for large blocks
    wanted = ((_ARENA_MAX, 1), (_MMAP_THRESHOLD, 2**30), (_TRIM_THRESHOLD, _LARGEST))
    answers = [mallopt(name, value) for name, value in wanted]
    return all(answer == 1 for answer in answers)
