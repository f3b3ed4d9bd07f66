"""A plate gets in: fingerprint, quality of every image, and broken files that harm no other well."""

import numpy as np
import pytest
import tifffile

from plate_assets.plates.acquisition import AcquisitionError
from plate_assets.workflows.intake.ingest import ingest, measure_quality, require_whole


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "P001_096h").mkdir()
    for col in range(1, 7):
        tifffile.imwrite(
            tmp_path / "P001_096h" / f"A{col:02d}.tif",
            np.kron(rng.integers(50, 150, (16, 16)), np.ones((4, 4))).astype(np.uint8),
        )
    return tmp_path / "P001_096h"


def test_the_same_bytes_have_the_same_fingerprint_and_new_bytes_another(folder):
    first, again = ingest(folder), ingest(folder)
    assert first.fingerprint == again.fingerprint
    (folder / "A01.tif").write_bytes((folder / "A02.tif").read_bytes())
    assert ingest(folder).fingerprint != first.fingerprint


def test_broken_images_are_flagged_with_their_reason_and_the_other_wells_are_unharmed(folder):
    known = ingest(folder)
    content = (folder / "A01.tif").read_bytes()
    (folder / "A01.tif").write_bytes(content[: len(content) // 2])
    (folder / "A02.tif").write_bytes(b"")
    tifffile.imwrite(folder / "A03.tif", np.zeros((8, 8), np.float32))
    (folder / "A04.tif").unlink()
    steps = []
    quality = measure_quality(known.acquisition, lambda done, total: steps.append((done, total)))
    assert steps[-1] == (6, 6)
    reasons = dict(quality.filter("flagged").select("Metadata_Well", "reasons").iter_rows())
    assert set(reasons) == {"A01", "A02", "A03", "A04"}
    for well, words in (("A01", "cut off"), ("A02", "zero bytes"), ("A03", "float32"), ("A04", "is gone")):
        assert words in reasons[well] and f"{well}.tif" in reasons[well]
    assert quality.filter("readable")["Metadata_Well"].to_list() == ["A05", "A06"]


def test_a_file_that_vanishes_before_the_fingerprint_is_an_error_that_names_it(folder):
    known = ingest(folder)
    (folder / "A04.tif").unlink()
    from plate_assets.plates.acquisition import fingerprint

    with pytest.raises(AcquisitionError, match="A04.tif could be listed and not read"):
        fingerprint(known.acquisition)


def test_another_acquisition_than_expected_is_refused(folder):
    known = ingest(folder)
    require_whole(known.acquisition, expected_id="P001_096h")
    with pytest.raises(AcquisitionError, match="P002_096h was expected"):
        require_whole(known.acquisition, expected_id="P002_096h")
