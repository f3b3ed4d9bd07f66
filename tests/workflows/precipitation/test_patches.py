"""Tiles of an acquisition: table and pixels agree, broken images cost their well only, memory does not grow with the plate."""

import tracemalloc

import numpy as np
import polars as pl
import pytest
import tifffile

from plate_assets.plates.fields import Fields
from plate_assets.plates.images import read_image, to_grey
from plate_assets.plates.platemap import platemap_of
from plate_assets.plates.readers import ReadOptions, open_acquisition
from plate_assets.plates.simulate import SimulationSettings, simulate_plates
from plate_assets.precipitation.geometry import find_culture_area
from plate_assets.precipitation.tables import PATCHES
from plate_assets.precipitation.tiles import local_std
from plate_assets.storage.arrays import read_stack, write_stack
from plate_assets.storage.tables import Provenance
from plate_assets.workflows.intake.ingest import measure_quality
from plate_assets.workflows.precipitation.patches import cut_patches

FIRST = ["A01", "A02", "A03", "A04"]


def fields(folder, names=FIRST, shape=(512, 512), dtype=np.uint8, suffix=""):
    """An acquisition of fields without a scale: noise, another in each file."""
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(names):
        image = np.random.default_rng(number).integers(20, 200, shape).astype(dtype)
        tifffile.imwrite(folder / f"{name}{suffix}.tif", image)
    return folder


def blocks_of(folder, **options):
    acquisition = open_acquisition(folder)
    return list(cut_patches(Fields.of(acquisition), platemap_of(acquisition, None), **options))


def wells_of(blocks):
    return [table["Metadata_Well"][0] for table, _ in blocks]


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    settings = SimulationSettings(quadruplets=1, timepoints_h=(96.0,), seed=2, precipitating=1.0, layout="operetta")
    return simulate_plates(tmp_path_factory.mktemp("simulated"), settings).acquisitions[0]


@pytest.mark.parametrize(("geometry", "n"), [("inference", 12), ("training", 9)])
def test_table_and_pixels_agree_with_the_images(simulated, geometry, n):
    acquisition = open_acquisition(simulated)
    paths = dict(acquisition.images.select("Metadata_Well", "path").iter_rows())
    blocks = blocks_of(simulated, geometry=geometry)
    assert wells_of(blocks) == sorted(paths) and len(blocks) == 4
    for table, tiles in blocks:
        PATCHES.check(table)
        image = read_image(acquisition.root / paths[table["Metadata_Well"][0]])
        assert tiles.shape == (n, 240, 240) and tiles.dtype == np.uint8
        for row, tile in zip(table.iter_rows(named=True), tiles, strict=True):
            y, x = row["y0_px"], row["x0_px"]
            assert (tile == image[y : y + 240, x : x + 240]).all()
            assert (row["tile_px"], row["geometry"], row["in_domain"], row["culture_share"]) == (240, geometry, True, 1.0)
        assert table["local_std"].to_numpy() == pytest.approx(local_std(tiles))
        area = find_culture_area(to_grey(image), 2.82)
        half = 479.5 if geometry == "inference" else 359.5
        grid = table.select("tile_row", "tile_col").to_numpy() * 240 + np.rint([area.row - half, area.col - half])
        assert (table.select("y0_px", "x0_px").to_numpy() == grid).all()  # the grid follows the wall found


def test_a_share_as_drop_keeps_corners_without_the_wall(simulated):
    (table, tiles), *_ = blocks_of(simulated, drop=0.5)
    (whole, plain), *_ = blocks_of(simulated)
    assert (table.height, whole.height) == (16, 12)
    corner = tiles[0]
    assert table["culture_share"][0] == pytest.approx(0.64, abs=0.03)
    assert (corner == np.median(corner)).mean() > 1 - 0.03 - table["culture_share"][0]  # the outside has one value
    assert (tiles[table["culture_share"].to_numpy() == 1][: len(plain)] == plain).all()


def test_a_field_of_another_geometry_gives_all_its_whole_tiles_outside_the_domain(tmp_path):
    blocks = blocks_of(fields(tmp_path / "P_024h"))
    assert wells_of(blocks) == FIRST
    for number, (table, tiles) in enumerate(blocks):
        assert tiles.shape == (4, 240, 240)
        assert table.select("y0_px", "x0_px").rows() == [(16, 16), (16, 256), (256, 16), (256, 256)]
        assert set(table["geometry"]) == {"field"} and not table["in_domain"].any()
        image = np.random.default_rng(number).integers(20, 200, (512, 512)).astype(np.uint8)
        assert (tiles[3] == image[256:496, 256:496]).all()


@pytest.mark.parametrize("harm", ["missing", "cut off", "empty", "no image", "smaller than a tile"])
def test_a_broken_image_costs_its_own_well_only_and_is_flagged_with_its_reason(tmp_path, harm):
    folder = fields(tmp_path / "P_024h")
    acquisition = open_acquisition(folder)
    path = folder / "A02.tif"
    if harm == "missing":
        path.unlink()
    elif harm == "smaller than a tile":
        tifffile.imwrite(path, np.zeros((100, 100), np.uint8))
    else:
        path.write_bytes({"cut off": path.read_bytes()[:2000], "empty": b"", "no image": b"not a picture"}[harm])
    steps = []
    blocks = list(
        cut_patches(Fields.of(acquisition), platemap_of(acquisition, None), progress=lambda *step: steps.append(step))
    )
    assert wells_of(blocks) == ["A01", "A03", "A04"] and steps[-1] == (4, 4)
    quality = measure_quality(acquisition).filter(Metadata_Well="A02").row(0, named=True)
    assert quality["flagged"] and quality["reasons"]


def test_where_no_image_can_be_read_there_are_no_tiles(tmp_path):
    folder = fields(tmp_path / "P_024h")
    acquisition = open_acquisition(folder)
    for path in folder.iterdir():
        path.write_bytes(b"")
    assert list(cut_patches(Fields.of(acquisition), platemap_of(acquisition, None))) == []


def test_a_stray_image_of_another_kind_is_brought_to_the_others(tmp_path):
    folder = fields(tmp_path / "P_024h", dtype=np.uint16)
    tifffile.imwrite(folder / "A02.tif", np.full((512, 512), 7, np.uint8))
    tifffile.imwrite(folder / "A03.tif", np.full((512, 600, 3), 100, np.uint8), photometric="rgb")
    blocks = blocks_of(folder)
    assert {tiles.dtype for _, tiles in blocks} == {np.dtype(np.uint16)}
    assert (blocks[1][1] == 7 * 257).all() and (blocks[2][1] == 100 * 257).all()  # 255 becomes 65535


def test_several_sites_of_a_well_are_one_block(tmp_path):
    folder = fields(tmp_path / "P_024h", [f"{well}_s{site}" for well in ("A01", "A02") for site in (1, 2)])
    blocks = blocks_of(folder)
    assert wells_of(blocks) == ["A01", "A02"]
    assert blocks[0][0]["Metadata_Site"].to_list() == [1] * 4 + [2] * 4 and len(blocks[0][1]) == 8


def test_an_unknown_geometry_is_refused_at_once_with_those_there_are(tmp_path):
    acquisition = open_acquisition(fields(tmp_path / "P_024h"))
    with pytest.raises(ValueError, match="`inference` or `training`"):
        cut_patches(Fields.of(acquisition), platemap_of(acquisition, None), geometry="other")


def test_a_plate_maps_groups_are_taken_over(tmp_path):
    acquisition = open_acquisition(fields(tmp_path / "P_024h"))
    platemap = platemap_of(acquisition, None).with_columns(Metadata_Quadruplet=pl.lit("A01"))
    groups = {table["Metadata_Quadruplet"][0] for table, _ in cut_patches(Fields.of(acquisition), platemap.head(3))}
    assert groups == {"A01", "A03"}  # A04 is not in the map: its own block of four


def test_a_write_that_is_killed_leaves_the_tiles_before_and_the_next_one_gives_the_same(tmp_path):
    acquisition = open_acquisition(fields(tmp_path / "P_024h"))
    platemap = platemap_of(acquisition, None)
    place, provenance = tmp_path / "stack", Provenance()

    def killed():
        yield next(cut_patches(Fields.of(acquisition), platemap))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_stack(place, killed(), PATCHES, provenance)
    with pytest.raises(FileNotFoundError):
        read_stack(place, PATCHES)
    write_stack(place, cut_patches(Fields.of(acquisition), platemap), PATCHES, provenance)
    before = read_stack(place, PATCHES)
    with pytest.raises(KeyboardInterrupt):
        write_stack(place, killed(), PATCHES, provenance)
    after = read_stack(place, PATCHES)
    assert after.table.equals(before.table) and (after.array[:] == before.array[:]).all() and len(after.array) == 16


def test_memory_does_not_grow_with_the_plate(tmp_path):
    wells = [f"{row}{col:02d}" for row in "ABCD" for col in range(1, 13)]
    whole = open_acquisition(fields(tmp_path / "P_024h", wells))
    platemap = platemap_of(whole, None)

    def peak(rows):
        part = type(whole)(**{**vars(whole), "images": whole.images.head(rows)})
        tracemalloc.start()
        count = sum(len(tiles) for _, tiles in cut_patches(Fields.of(part), platemap))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert count == 4 * rows
        return most

    peak(2)  # what is imported at the first use does not count
    # What threads hold at once is chance: the least of some runs over the whole, the most of as many over a quarter of it.
    runs = range(5)
    assert min(peak(48) for _ in runs) < max(peak(12) for _ in runs) + 4 * 512 * 512  # four images, where there are 36 more


def test_real_fields_of_an_operetta_are_tiles_outside_the_domain(real_data):
    acquisition = open_acquisition(real_data / "operetta-harmony-384" / "tests" / "operetta_plate")
    (table, tiles), *more = cut_patches(Fields.of(acquisition), platemap_of(acquisition, None))
    assert not more and tiles.shape == (2, 566, 566) and tiles.dtype == np.uint16
    assert table["Metadata_Site"].to_list() == [1, 2] and not table["in_domain"].any()
    assert table["y0_px"].to_list() == [257, 257] and (table["local_std"] > 0).all()


def test_a_real_row_of_8_bit_fields_gives_four_tiles_a_well(real_data):
    folder = real_data / "cellprofiler-examples" / "ExampleIlluminationCorrection" / "images"
    acquisition = open_acquisition(folder, ReadOptions(timepoint="024h"))
    blocks = list(cut_patches(Fields.of(acquisition), platemap_of(acquisition, None)))
    assert len(blocks) == acquisition.images["Metadata_Well"].n_unique() > 10
    assert all(table["Metadata_Row"][0] == 15 and tiles.shape == (4, 240, 240) for table, tiles in blocks)
