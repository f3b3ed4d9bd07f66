"""The arrivals sensor over folders that are all known: how long a look takes that finds nothing new."""

import time


def measure(acquisitions: int) -> dict[str, float]:
    """Seconds of a look at so many known folders of two images each; the median of five."""
    import tempfile
    from pathlib import Path
    from statistics import median

    from upath import UPath

    from plate_assets.plates.arrivals import Ledger, decide
    from plate_assets.plates.arrivals_scan import scan_arrivals

    with tempfile.TemporaryDirectory() as kept:
        root = Path(kept)
        for number in range(acquisitions):
            folder = root / f"P{number:05d}_24h"
            folder.mkdir()
            for well in ("A01", "A02"):
                (folder / f"{well}.tif").write_bytes(b"II*\0")
        known, ledger = {}, Ledger()
        for _ in range(4):  # until every folder has settled and is known
            look = scan_arrivals(UPath(root), known, ledger, slice_size=50)
            decision = decide(look.seen, known, look.ledger, 3)
            ledger = decision.ledger
        known = dict.fromkeys(item.acquisition_id for item in decision.start if item.acquisition_id)
        spent = []
        for _ in range(5):
            began = time.perf_counter()
            look = scan_arrivals(UPath(root), known, ledger, slice_size=50)
            ledger = decide(look.seen, known, look.ledger, 3).ledger
            spent.append(time.perf_counter() - began)
    return {"known acquisitions": float(len(known)), "seconds of a look": median(spent)}
