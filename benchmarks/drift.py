"""The drift tests beside alibi-detect's, which take turns in one run with as many threads; and memory at 50,000 embeddings.

Thirty-two dimensions of normal deviates: the arithmetic does not depend on the values. Both make the whole answer from the
raw reference: kernel, permutations or thresholds; σ is ours for both. Ours is timed at its default calibration, which
follows each bootstrap over 100 steps where alibi-detect's follows it over 20.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

SIZE = 32
_LARGE = """
import numpy as np
from plate_assets.drift import mmd, online
rng = np.random.default_rng(0)
reference, batch = rng.normal(size=({rows}, 32)), rng.normal(size=(384, 32))
{work}
lines = open("/proc/self/status").read().splitlines()
print(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024)
"""


def measure(rounds: int = 3, large_rows: int = 50_000) -> dict[str, object]:
    """Seconds each way and how many times faster ours is, of each the quickest of some rounds; a process at large_rows."""
    import torch

    from plate_assets.drift import alibi, mmd, online

    rng = np.random.default_rng(0)
    small, large, batch = (rng.normal(size=(rows, SIZE)) for rows in (1_000, 2_000, 1_000))
    short: dict[str, Any] = {"window": 20, "ert": 256, "bootstraps": 2_560}
    alibi.test(small[:50], batch[:50])  # imports
    pairs: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "offline, 1,000 + 1,000, 100 permutations": (lambda: mmd.test(small, batch), lambda: alibi.test(small, batch)),
        "offline, 2,000 + 1,000, 200 permutations": (
            lambda: mmd.test(large, batch, permutations=200), lambda: alibi.test(large, batch, permutations=200)
        ),
        "online configuration, n = 1,000, W = 20, ERT = 256, 2,560 bootstraps": (
            lambda: online.configure(small, **short), lambda: alibi.configure(small, **short)
        ),
    }  # fmt: skip
    found: dict[str, object] = {"threads of torch": torch.get_num_threads()}
    for name, (ours, theirs) in pairs.items():
        native, other = [], []
        for _ in range(rounds):  # ours three times in a turn: it is soon done, and any neighbour's burst hits it harder
            native += [_seconds(ours) for _ in range(3)]
            other.append(_seconds(theirs))
        (ours_s, ours_cpu), (theirs_s, theirs_cpu) = np.min(native, axis=0).tolist(), np.min(other, axis=0).tolist()
        found[name] = {
            "native, s": ours_s, "alibi, s": theirs_s, "times faster": theirs_s / ours_s,
            "native, CPU s": ours_cpu, "alibi, CPU s": theirs_cpu, "times faster, by CPU time": theirs_cpu / ours_cpu,
        }  # fmt: skip
    monitor, stream = online.configure(small, **short), rng.normal(size=(500, SIZE))
    steps = [_seconds(lambda vector=vector: monitor.update(vector))[0] for vector in stream]
    found["update, n = 1,000, ms"] = {"median": float(np.median(steps) * 1e3), "99 %": float(np.quantile(steps, 0.99) * 1e3)}
    found[f"{large_rows:,} × {SIZE}"] = {
        "test, 100 permutations": _apart(large_rows, "mmd.test(reference, batch)"),
        "online configuration, W = 20, ERT = 256": _apart(large_rows, "online.configure(reference, window=20, ert=256)"),
    }
    return found


def _apart(rows: int, work: str) -> dict[str, float]:
    """Seconds and peak MB of a process of its own that does one thing, its imports included."""
    began = time.perf_counter()
    code = _LARGE.format(rows=rows, work=work)
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return {"s": time.perf_counter() - began, "peak MB": float(done.stdout)}


def _seconds(work: Callable[[], object]) -> tuple[float, float]:
    """By the clock, and of the processor: the second does not count what neighbours took."""
    began, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - used
