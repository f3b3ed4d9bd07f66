"""OME-Zarr plates out: every pixel as it was, metadata as the specification has it, the whole store or nothing."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
import tifffile
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from upath import UPath

from plate_assets.plates.acquisition import Objective
from plate_assets.plates.image_files import ImageError
from plate_assets.plates.images import read_image
from plate_assets.plates.layout import Well
from plate_assets.plates.listing import list_folder
from plate_assets.plates.ome_zarr_plate import ExportError, halved, write_ome_zarr
from plate_assets.plates.platemap import platemap_of
from plate_assets.plates.readers import ReadOptions, open_acquisition
from plate_assets.plates.readers.ome_zarr import OmeZarrReader
from plate_assets.plates.tables import IMAGES

SAME = [column.name for column in IMAGES.columns if column.name not in ("path", "page", "size_bytes", "x_um", "y_um")]
DRAW = np.random.default_rng(0)


def picture(height=40, width=50, dtype=np.uint16, colour=False):
    return DRAW.integers(0, np.iinfo(dtype).max, (height, width, *((3,) if colour else ())), dtype=dtype, endpoint=True)


def folder_of(path, **images):
    """A folder of images by names, `A01_s1_w1=picture()`; None is a file without content."""
    path.mkdir(parents=True, exist_ok=True)
    for name, pixels in images.items():
        if pixels is None:
            (path / f"{name}.tif").write_bytes(b"")
        else:
            tifffile.imwrite(path / f"{name}.tif", pixels, photometric="rgb" if pixels.ndim == 3 else "minisblack")
    return path


def read(folder):
    return OmeZarrReader().read(list_folder(UPath(folder)), ReadOptions())


def attributes(path):
    return json.loads((path / "zarr.json").read_text())["attributes"]


def assert_equal(first, second):
    """Two acquisitions of the same wells, sites, channels, planes, times, places and pixels."""
    assert second.acquisition_id == first.acquisition_id and second.timepoint_h == first.timepoint_h
    assert (second.plate_format, second.pixel_um, second.objective) == (first.plate_format, first.pixel_um, first.objective)
    assert second.images.select(SAME).equals(first.images.select(SAME))
    for name in ("x_um", "y_um"):
        assert second.images[name].is_null().equals(first.images[name].is_null())
        assert ((second.images[name] - first.images[name]).abs().max() or 0) < 1e-6
    for one, other in zip(first.images.iter_rows(named=True), second.images.iter_rows(named=True), strict=True):
        if one["present"]:
            expected = read_image(first.root / one["path"], one["page"])
            found = read_image(second.root / other["path"], other["page"])
            assert found.dtype == expected.dtype and np.array_equal(found, expected)


def told(acquisition):
    """The same acquisition with all that a vendor can say."""
    began = datetime(2024, 3, 1, 12, 0, 0, 123000, tzinfo=UTC)
    number = pl.int_range(pl.len())
    images = acquisition.images.with_columns(
        x_um=pl.col("Metadata_Site") * 100.5, y_um=-pl.col("Metadata_Site") * 33.25, z_um=pl.col("Metadata_Plane") * 2.5,
        acquired_at=pl.lit(began, pl.Datetime("us", "UTC")) + number * timedelta(seconds=1, microseconds=7),
        excitation_nm=pl.lit(405.0), emission_nm=pl.when(pl.col("Metadata_Channel") == "w1").then(461.5),
    )  # fmt: skip
    return replace(
        acquisition, images=IMAGES.conform(images), pixel_um=0.325, objective=Objective(20.0, 0.75), started_at=began,
        metadata={"FlatfieldProfile w1": "{}", "User": "Ä"},
    )  # fmt: skip


def test_all_that_a_vendor_says_comes_back_with_every_pixel(tmp_path):
    names = [f"{w}_s{s}_z{z}_w{c}" for w in ("A01", "B07") for s in (1, 3) for z in (1, 2, 3) for c in (1, 2)]
    given = told(open_acquisition(folder_of(tmp_path / "P001_096h", **{name: picture() for name in names})))
    written = write_ome_zarr(given, tmp_path / "P001.zarr")
    found = read(tmp_path / "P001.zarr")
    assert_equal(given, found)
    assert (written.images, list(written.missing), found.complete) == (24, [], True)
    assert (found.started_at, found.metadata["FlatfieldProfile w1"], found.metadata["User"]) == (given.started_at, "{}", "Ä")


@pytest.mark.parametrize("name", ["operetta", "row O", "wound"])
def test_real_acquisitions_come_back_with_every_pixel(real_data, tmp_path, name):
    examples = real_data / "cellprofiler-examples"
    sources = {
        "operetta": (real_data / "operetta-harmony-384", "*"),
        "row O": (examples / "ExampleIlluminationCorrection" / "images", "AS_*.TIF"),
        "wound": (examples / "ExampleWoundHealing" / "images", "*_t0.JPG"),
    }
    source, names = sources[name]
    if names != "*":
        (tmp_path / "source").mkdir()
        for file in source.glob(names):
            (tmp_path / "source" / file.name).write_bytes(file.read_bytes())
        source = tmp_path / "source"
    given = open_acquisition(source)
    write_ome_zarr(given, tmp_path / "plate.zarr")
    assert_equal(given, read(tmp_path / "plate.zarr"))


@st.composite
def plates(draw):
    """Names of images with what lies in each: a kind for each channel, some lost, some unreadable."""
    kinds = st.builds(
        lambda h, w, dtype, colour: (h, w, dtype, colour),
        st.integers(1, 9), st.integers(1, 600), st.sampled_from([np.uint8, np.uint16]), st.booleans(),
    )  # fmt: skip
    channels = draw(st.dictionaries(st.sampled_from(["w1", "w2", "ch7"]), kinds, min_size=1))
    wells = draw(st.sets(st.sampled_from(["A01", "C04", "H12"]), min_size=1))
    sites, depths = draw(st.sets(st.integers(1, 4), min_size=1, max_size=2)), draw(st.sets(st.integers(1, 5), min_size=1))
    fates = st.sampled_from(["there"] * 6 + ["gone", "broken"])
    names = [(f"{w}_s{s}_z{z}_{c}", c) for w in wells for s in sites for z in depths for c in channels]
    return channels, {name: (channel, draw(fates)) for name, channel in names}


@settings(max_examples=40)
@given(plates(), st.booleans())
def test_whatever_plate_is_written_comes_back(tmp_path_factory, made, in_full):
    channels, images = made
    tmp_path = tmp_path_factory.mktemp("plate")
    files = {name: picture(*channels[channel]) for name, (channel, _) in images.items()}
    given = open_acquisition(folder_of(tmp_path / "P001_096h", **files))
    given = told(given) if in_full else given
    fates = {f"{name}.tif": fate for name, (_, fate) in images.items()}
    for name, fate in fates.items():
        if fate == "broken":
            (tmp_path / "P001_096h" / name).write_bytes(b"II*\0 and no more")
    lost = pl.col("path").replace_strict(fates) == "gone"
    given = replace(given, images=given.images.with_columns(present=~lost))
    if "there" not in fates.values():
        with pytest.raises(ExportError, match="no image that can be read"):
            write_ome_zarr(given, tmp_path / "P001.zarr")
        assert [path.name for path in tmp_path.iterdir()] == ["P001_096h"]
        return
    write_ome_zarr(given, tmp_path / "P001.zarr")
    readable = pl.col("path").replace_strict(fates) == "there"
    assert_equal(replace(given, images=given.images.with_columns(present=readable)), read(tmp_path / "P001.zarr"))


def test_missing_and_unreadable_images_are_left_out_and_named(tmp_path):
    images = {name: picture() for name in ("A01_s1_w1", "A01_s1_w2", "A01_s2_w1", "A01_s2_w2", "A02_s1_w1")} | {
        "B01_s1_w1": None
    }
    given = open_acquisition(folder_of(tmp_path / "P_t0", **images))
    gone = pl.col("path").is_in(["A01_s1_w2.tif", "A02_s1_w1.tif"])
    given = replace(given, images=given.images.with_columns(present=~gone))
    written = write_ome_zarr(given, tmp_path / "P.zarr")
    named = attributes(tmp_path / "P.zarr")["plate_assets"]["missing"]
    assert (written.images, written.missing) == (3, named)
    assert [(each["well"], each["site"], each["channel"], each["plane"], each["file"]) for each in named] == [
        ("A01", 1, "w2", 1, "A01_s1_w2.tif"), ("A02", 1, "w1", 1, "A02_s1_w1.tif"), ("B01", 1, "w1", 1, "B01_s1_w1.tif"),
    ]  # fmt: skip
    assert named[0]["why"] == "it was missing from the acquisition" and named[2]["why"].startswith(
        "B01_s1_w1.tif has zero bytes"
    )
    found = read(tmp_path / "P.zarr")
    assert found.complete is False and "3 of 6 images are there" in found.completeness
    assert found.missing["Metadata_Well"].to_list() == ["A01", "A02", "B01"]
    assert [well["path"] for well in attributes(tmp_path / "P.zarr")["ome"]["plate"]["wells"]] == ["A/1"]


def test_a_black_image_is_there_and_not_missing(tmp_path):
    given = open_acquisition(
        folder_of(tmp_path / "P_t0", A01=np.zeros((1300, 1300), np.uint16), A02=np.zeros((9, 9), np.uint8))
    )
    write_ome_zarr(given, tmp_path / "P.zarr")
    assert read(tmp_path / "P.zarr").complete is True
    assert_equal(given, read(tmp_path / "P.zarr"))


def test_channels_of_another_size_or_type_lie_beside_the_first_and_come_back(tmp_path):
    images = {f"{well}_s{s}_{c}": picture() for well in ("A01", "A02") for s in (1, 2) for c in ("w1", "w3")}
    images |= {f"{well}_s{s}_w2": picture(dtype=np.uint8) for well in ("A01", "A02") for s in (1, 2)}
    images |= {"A01_s1_w4": picture(20, 25)}
    given = open_acquisition(folder_of(tmp_path / "P_t0", **images))
    write_ome_zarr(given, tmp_path / "P.zarr")
    listed = attributes(tmp_path / "P.zarr" / "A" / "1")["ome"]["well"]["images"]
    assert [image["path"] for image in listed] == ["0", "1", "0b", "1b", "0c"]
    labels = [c["label"] for c in attributes(tmp_path / "P.zarr" / "A" / "1" / "0")["ome"]["omero"]["channels"]]
    assert labels == ["w1", "w3"] and zarr.open_array(str(tmp_path / "P.zarr" / "A" / "1" / "0b" / "0")).dtype == np.uint8
    assert_equal(given, read(tmp_path / "P.zarr"))


def test_planes_of_one_channel_that_differ_in_size_are_refused_by_name(tmp_path):
    given = open_acquisition(folder_of(tmp_path / "P_t0", A01_z1_w1=picture(), A01_z2_w1=picture(41)))
    with pytest.raises(ExportError, match="A01_z2_w1.tif has 50 × 41 px of uint16.*w1 has 50 × 40 px.*was exchanged"):
        write_ome_zarr(given, tmp_path / "P.zarr")
    assert not (tmp_path / "P.zarr").exists()


def test_colours_are_three_channels_for_others_and_one_image_for_us(tmp_path):
    colour = picture(30, 40, np.uint8, colour=True)
    given = open_acquisition(folder_of(tmp_path / "P_t0", A01_z1_w1=picture(30, 40, np.uint8), A01_z1_w2=colour))
    write_ome_zarr(given, tmp_path / "P.zarr")
    image = tmp_path / "P.zarr" / "A" / "1" / "0"
    assert np.array_equal(np.moveaxis(zarr.open_array(str(image / "0"))[1:, 0], 0, -1), colour)
    channels = attributes(image)["ome"]["omero"]["channels"]
    assert [(c["label"], c["color"]) for c in channels][1:] == [
        ("w2 red", "FF0000"),
        ("w2 green", "00FF00"),
        ("w2 blue", "0000FF"),
    ]
    assert_equal(given, read(tmp_path / "P.zarr"))


@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([np.uint8, np.uint16]), st.booleans())
def test_a_smaller_level_has_the_means_of_two_by_two_pixels(height, width, dtype, colour):
    image = picture(height, width, dtype, colour)
    found = halved(image)
    assert found.dtype == dtype and found.shape == (-(-height // 2), -(-width // 2), *image.shape[2:])
    for row, col in np.ndindex(found.shape[:2]):
        block = image[2 * row : 2 * row + 2, 2 * col : 2 * col + 2].reshape(-1, *image.shape[2:]).astype(float)
        assert np.abs(found[row, col] - block.mean(axis=0)).max() <= 0.5


def test_levels_shrink_to_the_size_of_a_screen_and_each_image_is_one_file(tmp_path):
    given = open_acquisition(folder_of(tmp_path / "P_t0", A01_w1=picture(1100, 2101), A01_w2=picture(1100, 2101)))
    write_ome_zarr(given, tmp_path / "P.zarr")
    image = tmp_path / "P.zarr" / "A" / "1" / "0"
    levels = [zarr.open_array(str(image / str(level))) for level in range(5)]
    assert [level.shape for level in levels] == [
        (2, 1, 1100, 2101), (2, 1, 550, 1051), (2, 1, 275, 526), (2, 1, 138, 263), (2, 1, 69, 132)
    ]  # fmt: skip
    assert (levels[0].chunks, levels[0].shards) == ((1, 1, 550, 701), (1, 1, 1100, 2103)) and levels[0].order == "C"
    assert [sum(1 for file in (image / str(n) / "c").rglob("*") if file.is_file()) for n in range(5)] == [2] * 5
    expected = read_image(given.root / "A01_w2.tif")
    for level in levels[1:]:
        expected = halved(expected)
        assert np.array_equal(level[1, 0], expected)


def test_every_level_covers_the_same_place_of_the_well(tmp_path):
    names = [f"A01_z{z}_w1" for z in (1, 2, 3)]
    given = told(open_acquisition(folder_of(tmp_path / "P_t0", **{name: picture(1024, 1024) for name in names})))
    write_ome_zarr(given, tmp_path / "P.zarr")
    (image,) = attributes(tmp_path / "P.zarr" / "A" / "1" / "0")["ome"]["multiscales"]
    assert [(axis["name"], axis.get("unit")) for axis in image["axes"]] == [
        ("c", None), ("z", "micrometer"), ("y", "micrometer"), ("x", "micrometer")
    ]  # fmt: skip
    for level, dataset in enumerate(image["datasets"]):
        scale, translation = (step[step["type"]] for step in dataset["coordinateTransformations"])
        assert scale == pytest.approx([1, 2.5, 0.325 * 2**level, 0.325 * 2**level]) and translation[1] == 2.5
        side = 1024 / 2**level
        centre = [corner + (side - 1) / 2 * scale[3] for corner in translation[2:]]
        assert centre == pytest.approx([-33.25, 100.5])  # y, x: the image's centre, whatever the level
    assert attributes(tmp_path / "P.zarr" / "A" / "1" / "0")["plate_assets"]["origin"] == "well centre"


def test_a_plate_without_a_pixel_size_claims_none(tmp_path):
    write_ome_zarr(open_acquisition(folder_of(tmp_path / "P_t0", A01=picture())), tmp_path / "P.zarr")
    (image,) = attributes(tmp_path / "P.zarr" / "A" / "1" / "0")["ome"]["multiscales"]
    assert not any("unit" in axis for axis in image["axes"]) and read(tmp_path / "P.zarr").pixel_um is None


def test_the_plate_says_its_rows_columns_wells_and_when_it_was_taken(tmp_path):
    images = {name: picture() for name in ("A02_s1_w1", "A02_s2_w1", "C11_s1_w1")}
    given = told(open_acquisition(folder_of(tmp_path / "P001_096h", **images), ReadOptions(plate_format=384)))
    write_ome_zarr(given, tmp_path / "P.zarr")
    said = attributes(tmp_path / "P.zarr")["ome"]
    plate = said["plate"]
    assert (said["version"], plate["name"], plate["field_count"]) == ("0.5", "P001", 2)
    assert ([row["name"] for row in plate["rows"]], len(plate["columns"])) == (list("ABCDEFGHIJKLMNOP"), 24)
    assert plate["wells"] == [
        {"path": "A/2", "rowIndex": 0, "columnIndex": 1},
        {"path": "C/11", "rowIndex": 2, "columnIndex": 10},
    ]
    (visit,) = plate["acquisitions"]
    assert (visit["name"], visit["starttime"]) == ("096h", 1709294400123) and visit["endtime"] > visit["starttime"]


def test_viewers_get_names_colours_and_one_grey_window_for_the_whole_plate(tmp_path):
    images = {f"{well}_s1_w{c}": np.full((64, 64), 100 * c, np.uint16) for well in ("A01", "A02") for c in (1, 2)}
    images["A02_s1_w2"][:32] = 900
    write_ome_zarr(told(open_acquisition(folder_of(tmp_path / "P_t0", **images))), tmp_path / "P.zarr")
    for well in ("1", "2"):
        first, second = attributes(tmp_path / "P.zarr" / "A" / well / "0")["ome"]["omero"]["channels"]
        assert (first["label"], first["color"], first["emissionWave"]) == ("w1", "0000FF", 461.5)
        assert first["window"] == {"min": 0, "max": 65535, "start": 100, "end": 101}
        assert second["window"] == {"min": 0, "max": 65535, "start": 200, "end": 900}


def test_the_plate_map_becomes_a_condition_table_of_fractals(tmp_path):
    given = open_acquisition(folder_of(tmp_path / "P_t0", A01=picture(), A02=picture()))
    table = pl.DataFrame({"Metadata_Well": ["A01", "A02"], "Metadata_Row": [1, 1], "Metadata_Col": [1, 2]}).with_columns(
        Metadata_Quadruplet=pl.lit("A01"), condition=pl.Series(["DMSO", None]), role=pl.lit("sample"), medium=pl.lit('M"1", x')
    )
    write_ome_zarr(given, tmp_path / "P.zarr", platemap=platemap_of(given, table))
    assert attributes(tmp_path / "P.zarr" / "tables") == {"tables": ["condition"]}
    assert attributes(tmp_path / "P.zarr" / "tables" / "condition") == {
        "type": "condition_table", "table_version": "1", "backend": "csv", "index_key": "well", "index_type": "str"
    }  # fmt: skip
    assert pl.read_csv(tmp_path / "P.zarr" / "tables" / "condition" / "table.csv").rows(named=True) == [
        {"row": "A", "column": col, "well": f"A0{col}", "condition": condition, "role": "sample", "replicate_group": "A01",
         "medium": 'M"1", x'}
        for col, condition in ((1, "DMSO"), (2, None))
    ]  # fmt: skip
    assert read(tmp_path / "P.zarr").complete is True


def test_the_images_quality_lies_beside_them_with_the_path_of_each(tmp_path):
    from plate_assets.workflows.intake.ingest import measure_quality

    given = open_acquisition(folder_of(tmp_path / "P_t0", A01_s1_w1=picture(), A01_s2_w1=None))
    write_ome_zarr(given, tmp_path / "P.zarr", quality=measure_quality(given))
    assert attributes(tmp_path / "P.zarr" / "tables" / "image_quality")["type"] == "generic_table"
    cells = pl.read_csv(tmp_path / "P.zarr" / "tables" / "image_quality" / "table.csv")
    assert cells.select("row", "column", "path_in_well", "site", "readable").rows() == [
        ("A", 1, 0, 1, True),
        ("A", 1, None, 2, False),
    ]


def test_a_plate_that_is_there_is_replaced_only_when_asked_and_nothing_else_ever(tmp_path):
    given = open_acquisition(folder_of(tmp_path / "P_t0", A01=picture()))
    write_ome_zarr(given, tmp_path / "P.zarr")
    (tmp_path / "P.zarr" / "left").write_text("x")
    with pytest.raises(ExportError, match="P.zarr is there already: choose another name"):
        write_ome_zarr(given, tmp_path / "P.zarr")
    write_ome_zarr(given, tmp_path / "P.zarr", overwrite=True)
    assert not (tmp_path / "P.zarr" / "left").exists() and read(tmp_path / "P.zarr").complete
    (tmp_path / "precious").mkdir()
    for place, says in (
        (tmp_path / "precious", "is no Zarr store and is not overwritten"),
        (given.root, "lies in the acquisition's folder"),
        (given.root / "P.zarr", "lies in the acquisition's folder"),
        (tmp_path, "holds the acquisition's folder"),
        (UPath("memory://export/P.zarr"), "is on an object store"),
    ):
        with pytest.raises(ExportError, match=says):
            write_ome_zarr(given, place, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["P.zarr", "P_t0", "precious"]


def test_an_export_that_ends_early_leaves_nothing_and_keeps_what_was_there(tmp_path):
    given = open_acquisition(folder_of(tmp_path / "P_t0", A01=picture(), A02=picture()))
    write_ome_zarr(given, tmp_path / "P.zarr")
    before = sorted(str(path) for path in tmp_path.rglob("*"))

    def killed(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_ome_zarr(given, tmp_path / "P.zarr", overwrite=True, progress=killed)
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before


def test_a_disk_that_refuses_is_one_error_with_its_remedy(tmp_path):
    given = open_acquisition(folder_of(tmp_path / "P_t0", A01=picture()))
    (tmp_path / "file").write_text("x")
    with pytest.raises(ExportError, match="P.zarr cannot be written .*look at the disk's space and rights"):
        write_ome_zarr(given, tmp_path / "file" / "P.zarr")


def test_progress_counts_every_image_missing_ones_as_well(tmp_path):
    given = open_acquisition(folder_of(tmp_path / "P_t0", A01=picture(), A02=None, A03=picture()))
    seen = []
    write_ome_zarr(given, tmp_path / "P.zarr", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_an_exported_plate_is_an_acquisition_that_can_be_exported_again(tmp_path):
    images = {"A01_s2_z2_w1": picture(), "A01_s2_z2_w2": picture(9, 9, np.uint8, colour=True), "B02_s1_z1_w1": None}
    given = told(open_acquisition(folder_of(tmp_path / "P001_096h", **images)))
    write_ome_zarr(given, tmp_path / "one.zarr")
    write_ome_zarr(read(tmp_path / "one.zarr"), tmp_path / "two.zarr")
    assert_equal(read(tmp_path / "one.zarr"), read(tmp_path / "two.zarr"))
    with pytest.raises(ImageError, match="no page"):
        read_image(UPath(tmp_path / "two.zarr" / "A" / "1" / "1" / "0" / "zarr.json"), 999)


def test_ome_zarrs_own_reader_and_models_open_the_plate_with_equal_pixels(tmp_path):
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Multiscales, Plate, Reader
    from ome_zarr_models.v05 import HCS

    names = [f"{w}_s{s}_z{z}_w{c}" for w in ("A01", "A02", "B02") for s in (1, 2) for z in (1, 2) for c in (1, 2)]
    given = told(open_acquisition(folder_of(tmp_path / "P001_096h", **{name: picture(600, 530) for name in names})))
    given = replace(given, plate_format=type(given.plate_format)(6))
    write_ome_zarr(given, tmp_path / "P.zarr", platemap=platemap_of(given, None))

    model = HCS.from_zarr(zarr.open_group(str(tmp_path / "P.zarr"), mode="r"))
    assert model.ome_attributes.plate.name == "P001" and len(model.ome_attributes.plate.wells) == 3

    place = parse_url(str(tmp_path / "P.zarr"))
    assert place is not None
    whole = next(iter(Reader(place)()))
    assert any(isinstance(spec, Plate) for spec in whole.specs) and [level.shape for level in whole.data][0] == (
        2,
        2,
        1200,
        1590,
    )
    tiled = np.asarray(whole.data[0])
    for row in given.images.filter(Metadata_Site=1).iter_rows(named=True):
        well, channel = Well.parse(row["Metadata_Well"]), int(row["Metadata_Channel"][1]) - 1
        top, left = (well.row - 1) * 600, (well.col - 1) * 530
        found = tiled[channel, row["Metadata_Plane"] - 1, top : top + 600, left : left + 530]
        assert np.array_equal(found, read_image(given.root / row["path"]))

    place = parse_url(str(tmp_path / "P.zarr" / "B" / "2" / "1"))
    assert place is not None
    field = next(iter(Reader(place)()))
    assert any(isinstance(spec, Multiscales) for spec in field.specs) and field.metadata["channel_names"] == ["w1", "w2"]
    assert [axis["name"] for axis in field.metadata["axes"]] == ["c", "z", "y", "x"] and len(field.data) == 3
    assert np.array_equal(np.asarray(field.data[0])[1, 0], read_image(given.root / "B02_s2_z1_w2.tif"))
