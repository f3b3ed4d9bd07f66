"""The report of a scored plate as files, from images on a disk and the maps of a stack."""

import numpy as np
import polars as pl
import pytest
from PIL import Image
from upath import UPath

from plate_assets.plates.acquisition import Acquisition
from plate_assets.plates.fields import Fields
from plate_assets.plates.layout import PlateFormat
from plate_assets.plates.tables import IMAGES, PLATE_MAP
from plate_assets.storage.arrays import Stack
from plate_assets.workflows.precipitation.report import WellViews, heat_scale, heatmap_thumbnail_of, place_maps, write_report
from plate_assets.workflows.precipitation.score import ScoredPlate
from tests.made_plates import made_plate

SIDE = 120  # a well's image; four tiles of 50 px lie from (10, 10) on


@pytest.fixture(scope="module")
def plate(tmp_path_factory) -> ScoredPlate:
    """Six wells with an image each, one of them broken; four tiles a well, whose maps hold the tile's number."""
    root = UPath(tmp_path_factory.mktemp("EX0042_096h"))
    inputs = made_plate(6, called=1)
    for i, name in enumerate(inputs.wells["Metadata_Well"]):
        Image.fromarray(np.full((SIDE, SIDE), 20 + i, dtype=np.uint8)).save(str(root / f"{name}.png"))
    (root / "B03.png").write_bytes(b"\x89PNG cut off")
    images = inputs.wells.select(
        "Metadata_Plate", "Metadata_Timepoint", "Metadata_Timepoint_h", "Metadata_Well", "Metadata_Row", "Metadata_Col"
    )
    images = images.with_columns(
        Metadata_Site=1, Metadata_Channel=pl.lit("default"), Metadata_Plane=1, path=pl.col("Metadata_Well") + ".png", page=0,
        size_bytes=1, present=True,
    )  # fmt: skip
    acquisition = Acquisition("EX0042", "096h", 96.0, root, "flat", PlateFormat(6), IMAGES.conform(images), None, "settled")
    tiles = inputs.tiles.filter((pl.col("tile_row") < 2) & (pl.col("tile_col") < 2))
    places = tiles.with_columns(y0_px=10 + 50 * pl.col("tile_row"), x0_px=10 + 50 * pl.col("tile_col"), tile_px=50)
    maps = np.broadcast_to(np.arange(tiles.height, dtype=np.float16)[:, None, None], (tiles.height, 5, 5))
    platemap = PLATE_MAP.conform(
        inputs.wells.select("Metadata_Well", "Metadata_Row", "Metadata_Col", "Metadata_Quadruplet", "role")
    )
    return ScoredPlate(
        Fields.of(acquisition), "f00d", platemap, inputs.quality, tiles, Stack(places, maps), inputs.growth, inputs.wells,
        inputs.calls, inputs.effects, {"model": "models:/precipitation-detector/3", "backbone": "resnet101"},
    )  # fmt: skip


def test_the_folder_holds_the_page_the_heat_map_and_the_tables(plate, tmp_path):
    files = write_report(plate, None, tmp_path / "report", links={"Dagster": "http://localhost:3000"})
    names = ["heatmap.png", "quadruplets.csv", "report.html", "tiles.csv", "wells.csv"]
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == names
    page = files.report.read_text()
    assert files.page_bytes == len(page.encode()) and "resnet101" in page and "http://localhost:3000" in page
    assert pl.read_csv(files.wells.path)["score"].to_list() == plate.wells["score"].to_list()
    calls = pl.read_csv(files.quadruplets.path)
    assert {"Metadata_Plate", "Metadata_Quadruplet", "score", "anomaly_score", "threshold", "call"} <= set(calls.columns)
    assert page.count('"picture":"data:image/jpeg') == 5, "the broken image is left out, the page is not"


def test_a_second_report_replaces_the_first(plate, tmp_path):
    write_report(plate, None, tmp_path)
    (tmp_path / "report.html").write_text("old")
    write_report(plate, None, tmp_path)
    assert "plate report" in (tmp_path / "report.html").read_text()


def test_a_well_is_shown_with_its_maps_where_its_tiles_lie(plate):
    views = WellViews(plate.fields, plate.tiles, plate.maps)
    assert views.picture("A02")[0, 0] == 21 and views.picture("B03") is None and views.picture("P24") is None
    heat = views.map("A02")
    assert heat.shape == (12, 12)
    first = 4  # the second well's first tile
    assert (heat[1:6, 1:6] == first).all() and (heat[6:11, 1:6] == first + 2).all() and (heat[1:6, 6:11] == first + 1).all()
    assert np.isnan(heat[0]).all() and np.isnan(heat[:, 11]).all()


def test_maps_are_shown_as_the_detector_upsamples_them(plate):
    views = WellViews(plate.fields, plate.tiles, plate.maps, heat=lambda maps: maps.repeat(10, 1).repeat(10, 2))
    heat = views.map("A01")
    assert heat.shape == (SIDE, SIDE) and np.isfinite(heat).sum() == 100 * 100


def test_without_places_the_geometry_of_the_image_says_where_tiles_lie():
    inputs = made_plate(6)
    grid = pl.DataFrame({"tile_row": [0, 1], "tile_col": [1, 0]})
    from plate_assets.workflows.precipitation.report import _places

    starts, side = _places(grid, (1200, 1200), 2.82)
    assert side == 240 and starts.tolist() == [[120, 360], [360, 120]]
    assert inputs.plate_format.wells == 6


def test_a_place_beyond_the_image_is_cut_and_a_plate_has_one_scale(plate):
    placed = place_maps(np.ones((1, 4, 4)), np.array([[30, 30]]), 40, (50, 50))
    assert placed.shape == (5, 5) and np.isfinite(placed).sum() == 4
    views = WellViews(plate.fields, plate.tiles, plate.maps)
    lo, hi = heat_scale(views, plate.wells)
    assert lo == 0 and 18 <= hi <= 23
    assert heat_scale(WellViews(plate.fields, plate.tiles, None), plate.wells) == (0.0, 1.0)


def test_the_thumbnail_for_the_asset_is_a_small_png(plate):
    data = heatmap_thumbnail_of(plate)
    assert data.startswith(b"\x89PNG") and len(data) <= 20_000
