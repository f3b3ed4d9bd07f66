"""The mosaic of a plate: wells in their places, hatched where none is, outlined where flagged."""

import io

import numpy as np
import polars as pl
import tifffile
from PIL import Image

from plate_assets.plates.mosaic import plate_mosaic
from plate_assets.plates.readers import ReadOptions, open_acquisition
from plate_assets.workflows.intake.ingest import measure_quality


def plate(tmp_path, wells, wells_of_plate=96):
    (tmp_path / "P_t0").mkdir()
    for well, level in wells.items():
        tifffile.imwrite(tmp_path / "P_t0" / f"{well}.tif", np.full((64, 64), level, np.uint8))
    return open_acquisition(tmp_path / "P_t0", ReadOptions(plate_format=wells_of_plate))


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def middle(image, row, col, side):
    pitch = side + 2
    return image[70 + (row - 1) * pitch + side // 2, 44 + (col - 1) * pitch + side // 2]


def test_wells_lie_in_their_places_on_one_scale(tmp_path):
    image = pixels(plate_mosaic(plate(tmp_path, {"A01": 10, "H12": 200, "B03": 105}), thumb_px=40))
    assert middle(image, 1, 1, 40).tolist() == [0, 0, 0]
    assert middle(image, 8, 12, 40).tolist() == [255, 255, 255]
    assert 120 <= middle(image, 2, 3, 40)[0] <= 135
    assert image.shape[0] < 70 + 8 * 42 + 60


def test_a_well_without_an_image_is_hatched_and_a_flagged_one_is_outlined(tmp_path):
    acquisition = plate(tmp_path, {"A01": 10, "A02": 200})
    quality = measure_quality(acquisition)
    flags = quality.with_columns(flagged=pl.col("Metadata_Well") == "A02")
    plain, outlined = (pixels(plate_mosaic(acquisition, table, thumb_px=40)) for table in (None, flags))
    changed = np.argwhere((plain != outlined).any(axis=2) & (np.arange(plain.shape[0]) < 70 + 8 * 42)[:, None])
    assert changed[:, 0].min() >= 69 and changed[:, 0].max() <= 70 + 41 and changed[:, 1].min() >= 44 + 41
    hatched = outlined[70 + 42 : 70 + 82, 44:84]
    assert {tuple(value) for value in hatched.reshape(-1, 3)} == {(205, 205, 205), (246, 246, 246)}


def test_broken_images_colour_and_1536_wells_are_drawn(tmp_path):
    acquisition = plate(tmp_path, {"A01": 10, "AF48": 200}, 1536)
    (tmp_path / "P_t0" / "A01.tif").write_bytes(b"")
    tifffile.imwrite(tmp_path / "P_t0" / "AF48.tif", np.zeros((30, 50, 3), np.uint8), photometric="rgb")
    assert pixels(plate_mosaic(acquisition, measure_quality(acquisition))).shape[1] > 1500
