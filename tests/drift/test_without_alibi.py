"""Without alibi-detect its engine says so, and what the licence asks: shown in a process that cannot import it."""

import subprocess
import sys

CODE = """
import sys
sys.modules["alibi_detect"] = None  # as if it were not installed
import numpy as np
from plate_assets.drift import alibi
rows = np.random.default_rng(0).normal(size=(20, 3))
for call in (lambda: alibi.test(rows, rows + 1), lambda: alibi.configure(rows, window=2, ert=2)):
    try:
        call()
    except ImportError as error:
        print(error)
"""


def test_without_alibi_detect_its_engine_names_the_extra_and_the_licence():
    done = subprocess.run([sys.executable, "-c", CODE], check=True, capture_output=True, text=True)
    said = done.stdout.splitlines()
    assert len(said) == 2
    assert all("plate-assets[alibi]" in line and "Business Source License 1.1" in line for line in said)
