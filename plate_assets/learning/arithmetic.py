"""How a process computes on the processor: its threads, what it does with memory that networks give back, what it can multiply.

Belongs here: what is set once for a process, before networks run, and what the processor is good at. Not here: the precision
and the batches of a model (`infer`, `fit`).
"""

import ctypes
import os
import platform
from typing import Literal

_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8  # names of mallopt(3)
_NEVER_TRIM = 2**31 - 1


def prepare_arithmetic(threads: int = 0) -> int:
    """Hold torch to so many threads (0: all cores) and keep freed memory for the next batch; returns the threads.

    By default glibc returns each large activation to the kernel and gets it back page by page, cleared: half the time of a
    training step on a processor goes there. Kept, it is reused at once; the peak stays the same. Elsewhere than on glibc
    nothing is set but the threads.
    """
    import torch

    threads = threads or os.cpu_count() or 1
    torch.set_num_threads(threads)
    if libc := _glibc():
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, _NEVER_TRIM)
    return threads


def share_one_heap() -> None:
    """Let all threads of the process allocate from one heap; to be called before there are threads.

    By default glibc gives each thread a heap of its own, and what was freed in one the others cannot have: a process that
    scored plate after plate, with threads that decode, held 20 MB more after each. Elsewhere than on glibc nothing is set.
    """
    if libc := _glibc():
        libc.mallopt(_M_ARENA_MAX, 1)


def give_back_freed() -> None:
    """Give the kernel what is freed: between pieces of work that allocate in other sizes, which would find it in pieces.

    Elsewhere than on glibc nothing is done.
    """
    if libc := _glibc():
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None


def multiplies_bfloat16() -> bool:
    """Whether the processor has instructions for bfloat16: without them it is several times slower than float32, not faster."""
    import torch

    found = torch.cpu.get_capabilities()
    return any(found.get(name, False) for name in ("amx_bf16", "avx512_bf16", "bf16", "sve_bf16"))


def multiplies_int8() -> bool:
    """Whether the processor sums products of 8-bit integers in 32 bits: without that they are no faster than float32."""
    import torch

    found = torch.cpu.get_capabilities()
    return any(found.get(name, False) for name in ("amx_int8", "avx512_vnni", "avx_vnni"))


def quick_precision() -> Literal["float32", "bfloat16"]:
    """What products are computed in where both would do: training."""
    return "bfloat16" if multiplies_bfloat16() else "float32"
