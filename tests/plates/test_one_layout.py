"""Which layout a folder has: one reader for every export, and an error that names both where two layouts lie in it."""

import itertools
import shutil

import pytest
from upath import UPath

from plate_assets.plates.acquisition import AcquisitionError
from plate_assets.plates.listing import list_folder
from plate_assets.plates.readers import BY_NAMES, BY_SHEET, READERS, ReadOptions, SeveralTimepoints, read_listing
from tests.plates.test_fuzz import MADE, REAL, made

LAYOUTS = {
    "operetta": "operetta", "imagexpress-database": "imagexpress", "imagexpress-times": "imagexpress",
    "imagexpress-exported": "imagexpress", "cellvoyager": "cellvoyager", "scanr": "scanr", "ome-companion": "ome-tiff",
    "ome-zarr-0.4": "ome_zarr", "names": "filenames", "incucyte": "filenames", "sample-sheet": "sample_sheet",
    "ome-tiff": "ome-tiff", "ome-zarr-0.5": "ome_zarr",
}  # fmt: skip


def place(kind, request, folder):
    """The export of that kind in a folder."""
    if kind in REAL:
        shutil.copytree(request.getfixturevalue("real_data") / REAL[kind], folder, ignore=shutil.ignore_patterns("*_thumb*"))
    else:
        made(kind, folder)


@pytest.mark.parametrize("kind", (*REAL, *MADE))
def test_every_export_is_recognised_by_its_own_reader_alone(kind, request, tmp_path):
    place(kind, request, tmp_path / "P1_t0")
    listing = list_folder(UPath(tmp_path / "P1_t0"))
    vendors = {reader.name for reader in (*READERS, BY_SHEET) if reader.recognises(listing)}
    expected = LAYOUTS[kind]
    assert vendors == ({expected} if expected != "filenames" else set())
    assert expected != "filenames" or BY_NAMES.recognises(listing)


# Names as MetaXpress gives them are MetaXpress's wherever they lie: beside its export they are a second measurement.
VENDORS = ("operetta", "imagexpress-exported", "cellvoyager", "ome-zarr-0.5", "names")


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(VENDORS, 2)))
def test_two_layouts_in_one_folder_are_an_error_that_names_both(one, other, request, tmp_path):
    (tmp_path / "both").mkdir()
    for kind in (one, other):
        place(kind, request, tmp_path / "both" / kind)
    with pytest.raises(AcquisitionError) as error:
        read_listing(list_folder(UPath(tmp_path / "both")), ReadOptions())
    assert not isinstance(error.value, SeveralTimepoints)
    if (one, other) == ("imagexpress-exported", "names"):
        assert "2 measurements, imagexpress-exported/ and names/" in str(error.value)
    else:
        assert all(LAYOUTS[kind] in str(error.value) for kind in (one, other)) and "two layouts" in str(error.value)
