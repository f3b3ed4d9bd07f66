"""How a process computes: what it does with the memory that networks give back."""

import platform
import subprocess
import sys

import pytest

KEPT = """
from plate_assets.learning.arithmetic import give_back_freed, prepare_arithmetic, share_one_heap

def held_mb():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmRSS"))

share_one_heap()
prepare_arithmetic(1)
before, blocks = held_mb(), [bytearray(b"x" * 100_000) for _ in range(2_000)]
pinned = blocks[::100]  # so that what is freed lies in pieces
del blocks
freed = held_mb() - before
give_back_freed()
print(freed, held_mb() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps what is freed, and is told to")
def test_what_is_freed_is_kept_for_the_next_batch_until_it_is_given_back():
    done = subprocess.run([sys.executable, "-c", KEPT], capture_output=True, text=True, check=True)
    kept, after = map(int, done.stdout.split())
    assert kept > 150 and after < 50
