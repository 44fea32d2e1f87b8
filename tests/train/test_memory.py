"""Freed memory is kept, measured by page faults in a process of its own."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, resource, sys, threading

if sys.argv[1] == "keep":
    from metajax.train import keep_freed_memory

    assert keep_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]

def use():
    block = libc.malloc(ctypes.c_size_t(100_000_000))
    ctypes.memset(block, 1, 100_000_000)
    libc.free(block)

def measure():
    use()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        use()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

thread = threading.Thread(target=measure)  # as XLA's programs run
thread.start()
thread.join()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_a_block_taken_again_costs_no_page_faults():
    """100 MB five times over are 122,000 pages of 4 kB, or none."""

    def faults(how):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True
        )
        return int(done.stdout)

    assert faults("keep") < 1000 < faults("leave")
