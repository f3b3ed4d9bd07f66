"""What is exported together: the plate, and its tables as CSV; of a folder, or of what is stored."""

import numpy as np
import polars as pl
import pytest
import tifffile
from typer.testing import CliRunner
from upath import UPath

from plate_assets.cli import app
from plate_assets.plates.acquisition import AcquisitionError
from plate_assets.plates.acquisition_table import ACQUISITION, acquisition_to_table
from plate_assets.plates.listing import list_folder
from plate_assets.plates.ome_zarr_plate import ExportError
from plate_assets.plates.readers import ReadOptions, SeveralTimepoints, open_acquisition
from plate_assets.plates.readers.ome_zarr import OmeZarrReader
from plate_assets.plates.tables import IMAGE_QUALITY
from plate_assets.precipitation.tables import PATCHES, WELL_SCORES
from plate_assets.storage.arrays import write_stack
from plate_assets.storage.tables import Provenance, write_table
from plate_assets.workflows.intake.export import Stored, export_plate
from plate_assets.workflows.intake.ingest import measure_quality


def folder(path, *names):
    path.mkdir(parents=True)
    for number, name in enumerate(names):
        tifffile.imwrite(path / f"{name}.tif", np.full((40, 50), 7 + number, np.uint16))
    return path


def stored(tmp_path):
    schemas = {schema.name: schema for schema in (ACQUISITION, IMAGE_QUALITY, PATCHES, WELL_SCORES)}
    root = UPath(tmp_path / "storage")
    return Stored(schemas, lambda name, key: root / name / f"{key}.parquet", lambda name, key: root / name / key)


@pytest.fixture
def let_in(tmp_path):
    """A folder, and what is stored of it: the acquisition, the quality of its images, and a stack without a row."""
    source, storage = folder(tmp_path / "P001_096h", "A01_s1_w1", "B02_s1_w1"), stored(tmp_path)
    acquisition = open_acquisition(source)
    key = acquisition.acquisition_id
    write_table(acquisition_to_table(acquisition, "0" * 64), storage.table_of("acquisition", key), ACQUISITION, Provenance())
    quality = measure_quality(acquisition)
    write_table(quality, storage.table_of("image_quality", key), IMAGE_QUALITY, Provenance())
    write_stack(storage.stack_of("patches", key), [(PATCHES.empty(), np.empty((0, 8, 8), np.uint8))], PATCHES, Provenance())
    return source, storage


def wells_of(plate):
    return OmeZarrReader().read(list_folder(UPath(plate)), ReadOptions()).images["Metadata_Well"].to_list()


def test_a_folder_gives_its_plate_and_the_table_of_its_images(tmp_path):
    source = folder(tmp_path / "P001_096h", "A01_s1_w1", "B02_s1_w1")
    done = export_plate(str(source), tmp_path / "P.zarr", stored(tmp_path), csv=tmp_path / "csv")
    assert wells_of(tmp_path / "P.zarr") == ["A01", "B02"]
    assert (done.acquisition_id, done.images, done.missing, done.tables) == ("P001_096h", 2, 0, ("images.csv",))
    assert [file.name for file in (tmp_path / "csv").iterdir()] == ["images.csv"]
    images = pl.read_csv(tmp_path / "csv" / "images.csv")
    assert images["path"].to_list() == ["A01_s1_w1.tif", "B02_s1_w1.tif"] and images["Metadata_Timepoint_h"].to_list() == [
        96,
        96,
    ]
    assert done.summary() == f"P001_096h: 2 images in {tmp_path / 'P.zarr'}; tables: images.csv"


@pytest.mark.parametrize("by_id", [True, False])
def test_a_stored_acquisition_gives_all_its_tables_whether_it_is_named_by_its_id_or_its_folder(tmp_path, let_in, by_id):
    source, storage = let_in
    done = export_plate("P001_096h" if by_id else str(source), tmp_path / "P.zarr", storage, csv=tmp_path / "csv")
    assert done.tables == ("images.csv", "acquisition.csv", "image_quality.csv", "patches.csv")
    assert wells_of(tmp_path / "P.zarr") == ["A01", "B02"]
    quality = pl.read_csv(tmp_path / "csv" / "image_quality.csv")
    assert quality.columns == [column.name for column in IMAGE_QUALITY.columns] and quality["width_px"].to_list() == [50, 50]
    assert (tmp_path / "csv" / "patches.csv").read_text().startswith("Metadata_Plate,")
    assert (tmp_path / "P.zarr" / "tables" / "image_quality" / "table.csv").exists()


def test_another_folder_under_a_stored_id_gets_none_of_its_tables(tmp_path, let_in):
    _, storage = let_in
    other = folder(tmp_path / "elsewhere" / "P001_096h", "A01_s1_w1")
    done = export_plate(str(other), tmp_path / "P.zarr", storage, csv=tmp_path / "csv")
    assert done.tables == ("images.csv",) and not (tmp_path / "P.zarr" / "tables").exists()


def test_the_plate_map_beside_the_images_goes_with_them(tmp_path):
    source = folder(tmp_path / "P001_096h", "A01_s1_w1")
    (source / "P001.csv").write_text("well,condition\nA01,DMSO\n")
    export_plate(str(source), tmp_path / "P.zarr", stored(tmp_path))
    assert "A,1,A01,DMSO,sample,A01" in (tmp_path / "P.zarr" / "tables" / "condition" / "table.csv").read_text()
    assert not (tmp_path / "csv").exists()


def test_one_visit_of_several_is_chosen(tmp_path):
    source = folder(tmp_path / "visits", "A01_t0", "A01_t24")
    with pytest.raises(SeveralTimepoints):
        export_plate(str(source), tmp_path / "P.zarr", stored(tmp_path))
    assert export_plate(str(source), tmp_path / "P.zarr", stored(tmp_path), timepoint="t24").acquisition_id.endswith("_t24")


def test_missing_images_are_told(tmp_path, let_in):
    source, storage = let_in
    (source / "B02_s1_w1.tif").unlink()
    done = export_plate("P001_096h", tmp_path / "P.zarr", storage)
    assert (done.images, done.missing) == (1, 1)
    assert f"1 images were missing or unreadable: {tmp_path / 'P.zarr' / 'zarr.json'} names them" in done.summary()


def test_tables_are_never_written_into_the_acquisitions_folder(tmp_path):
    source = folder(tmp_path / "P001_096h", "A01_s1_w1")
    with pytest.raises(ExportError, match="lies in the acquisition's folder .*which is never changed"):
        export_plate(str(source), tmp_path / "P.zarr", stored(tmp_path), csv=source / "csv")
    assert not (tmp_path / "P.zarr").exists()


@pytest.mark.parametrize("source", ["nothing", "../nothing", "no id/at all"])
def test_what_is_neither_a_folder_nor_stored_says_so(tmp_path, source):
    with pytest.raises(AcquisitionError, match="is not there"):
        export_plate(source, tmp_path / "P.zarr", stored(tmp_path))


def command(tmp_path, *arguments):
    return CliRunner().invoke(app, ["export", *arguments], env={"PLATE_ASSETS_HOME": str(tmp_path / "home")})


def test_the_command_exports_and_says_what(tmp_path):
    source = folder(tmp_path / "P001_096h", "A01_s1_w1", "A02_s1_w1")
    done = command(tmp_path, str(source), "--out", str(tmp_path / "P.zarr"), "--csv", str(tmp_path / "csv"))
    assert done.exit_code == 0, done.output
    assert "images: 2 of 2" in done.output and f"P001_096h: 2 images in {tmp_path / 'P.zarr'}" in done.output
    assert wells_of(tmp_path / "P.zarr") == ["A01", "A02"] and (tmp_path / "csv" / "images.csv").exists()


def test_the_commands_mistakes_are_one_line_with_the_remedy(tmp_path):
    source = folder(tmp_path / "P001_096h", "A01_s1_w1")
    (tmp_path / "P.zarr").mkdir()
    for arguments, said in (
        ((str(source), "--out", str(tmp_path / "P.zarr")), "is there already"),
        ((str(source), "--out", str(tmp_path / "P.zarr"), "--overwrite"), "is no Zarr store"),
        ((str(tmp_path / "none"), "--out", str(tmp_path / "Q.zarr")), "is not there"),
    ):
        done = command(tmp_path, *arguments)
        assert done.exit_code == 2 and said in done.output and "Traceback" not in done.output
