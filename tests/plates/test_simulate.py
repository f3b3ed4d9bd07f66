"""Simulated plates: the same bytes from the same seed, truth that agrees with the pixels, two layouts, one acquisition."""

import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import tifffile
from PIL import Image
from scipy import ndimage

from plate_assets.plates.layout import PlateFormat, Well
from plate_assets.plates.platemap import read_platemap
from plate_assets.plates.readers import open_acquisition
from plate_assets.plates.simulate import SimulationSettings, simulate_plates
from plate_assets.plates.simulate.plan import CHEMICAL, KINDS, Condition, plate_conditions
from plate_assets.plates.simulate.precipitates import draw_precipitate
from plate_assets.plates.simulate.well import draw_well
from plate_assets.precipitation.culture_area import CultureArea
from plate_assets.precipitation.geometry import WellGeometry, geometry_for
from plate_assets.precipitation.tiles import cut_tiles, local_std

SMALL = SimulationSettings(quadruplets=2, timepoints_h=(24.0, 96.0), seed=3, precipitating=0.5, masks=True, workers=2)


@pytest.fixture(scope="module")
def flat(tmp_path_factory):
    out = tmp_path_factory.mktemp("flat")
    return out, simulate_plates(out, SMALL)


def digests(out):
    files = sorted(path for path in out.rglob("*") if path.is_file())
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def truth(out, name):
    text = {"Metadata_Plate": pl.String, "Metadata_Timepoint": pl.String}
    return pl.read_csv(out / "truth" / f"{name}.csv", schema_overrides=text)


def test_the_same_seed_gives_the_same_bytes_whatever_the_number_of_workers(flat, tmp_path):
    simulate_plates(tmp_path, replace(SMALL, workers=1))
    assert digests(tmp_path) == digests(flat[0])


def test_another_seed_gives_other_images(tmp_path, flat):
    simulate_plates(tmp_path, replace(SMALL, seed=4, quadruplets=1, timepoints_h=(24.0,)))
    assert not set(digests(tmp_path).values()) & set(digests(flat[0]).values())


def test_fewer_conditions_leave_the_images_of_the_others_as_they_are():
    """What is drawn in a well depends on its place and its condition only."""
    condition = plate_conditions(SMALL, 0)[0]
    alone = draw_well(SMALL, 0, 1, condition, condition.quadruplet, None)
    again = draw_well(replace(SMALL, quadruplets=1), 0, 1, condition, condition.quadruplet, None)
    assert (alone.image == again.image).all() and alone.truth == again.truth


def test_an_acquisition_appears_whole_and_nothing_is_overwritten(flat):
    out, plates = flat
    assert sorted(path.name for path in plates.acquisitions) == ["SIM03001_024h", "SIM03001_096h"]
    assert not [path for path in out.iterdir() if path.name.startswith(".")]
    with pytest.raises(FileExistsError, match="choose another folder or seed"):
        simulate_plates(out, SMALL)


def test_images_have_the_papers_size_and_scale(flat):
    for path in sorted(flat[1].acquisitions[0].glob("*.tif"))[:2]:
        image = tifffile.imread(path)
        assert image.shape == (1200, 1200) and image.dtype == np.uint8
    assert open_acquisition(flat[1].acquisitions[0]).pixel_um == pytest.approx(2.82, rel=1e-4)


def test_both_layouts_are_read_as_the_same_acquisition(flat, tmp_path):
    operetta = simulate_plates(tmp_path, replace(SMALL, layout="operetta", masks=False))
    for left, right in zip(flat[1].acquisitions, operetta.acquisitions, strict=True):
        one, other = open_acquisition(left), open_acquisition(right)
        assert (one.layout, other.layout) == ("filenames", "operetta")
        assert (other.complete, one.complete) == (True, None)
        for name in ("acquisition_id", "plate", "timepoint", "timepoint_h"):
            assert getattr(one, name) == getattr(other, name)
        assert other.plate_format.wells == 384 and other.pixel_um == pytest.approx(one.pixel_um, rel=1e-4)
        keys = ["Metadata_Plate", "Metadata_Timepoint", "Metadata_Timepoint_h", "Metadata_Well", "Metadata_Site", "present"]
        assert one.images.select(keys).sort("Metadata_Well").equals(other.images.select(keys).sort("Metadata_Well"))
        files = [dict(found.images.select("Metadata_Well", "path").iter_rows()) for found in (one, other)]
        for well, path in files[0].items():
            assert (left / path).read_bytes() == (right / files[1][well]).read_bytes()


def test_the_truth_agrees_with_the_files_and_with_itself(flat):
    out, plates = flat
    wells, tiles, groups = truth(out, "wells"), truth(out, "tiles"), truth(out, "quadruplets")
    seen = [
        (found.plate, found.timepoint, well)
        for found in map(open_acquisition, plates.acquisitions)
        for well in found.images["Metadata_Well"]
    ]
    assert wells.select("Metadata_Plate", "Metadata_Timepoint", "Metadata_Well").rows() == seen
    assert (wells["precipitated"] == (wells["severity"] > 0)).all()
    assert (wells.filter(~pl.col("precipitated"))["precipitate_px"] == 0).all()
    keys = ["Metadata_Plate", "Metadata_Timepoint", "Metadata_Quadruplet"]
    counted = wells.group_by(keys).agg(n=pl.col("precipitated").sum(), worst=pl.col("severity").max())
    joined = groups.join(counted, on=keys)
    assert joined.height == groups.height == 4
    assert (joined["n"] == joined["n_wells_precipitated"]).all()
    assert ((joined["worst"] > 0) == joined["precipitated"]).all()
    hours = joined["Metadata_Timepoint"].str.head(3).cast(pl.Float64)
    assert (joined["precipitated"] == (joined["onset_h"].fill_null(np.inf) <= hours)).all()
    per_well = tiles.group_by("Metadata_Timepoint", "Metadata_Well", "geometry").len()
    assert dict(per_well.select("geometry", "len").unique().iter_rows()) == {"inference": 12, "training": 9}


def test_the_masks_hold_the_precipitate_that_the_tables_count(flat):
    out, _ = flat
    wells, tiles = truth(out, "wells"), truth(out, "tiles")
    assert wells["precipitate_px"].max() > 100
    for row in wells.iter_rows(named=True):
        folder = out / "truth" / "masks" / f"{row['Metadata_Plate']}_{row['Metadata_Timepoint']}"
        mask = np.asarray(Image.open(folder / f"{row['Metadata_Well']}.png")) > 0
        assert mask.sum() == row["precipitate_px"]
        here = tiles.filter(Metadata_Timepoint=row["Metadata_Timepoint"], Metadata_Well=row["Metadata_Well"])
        for tile in here.iter_rows(named=True):
            cut = mask[tile["y0_px"] : tile["y0_px"] + 240, tile["x0_px"] : tile["x0_px"] + 240]
            assert cut.shape == (240, 240) and cut.sum() == tile["precipitate_px"]
            assert tile["precipitated"] == (cut.sum() >= 10)
            kind = "normal" if cut.sum() < 10 else "chemical" if row["kind"] in CHEMICAL else "necrotic"
            assert tile["label"] == kind
        area = CultureArea(row["culture_row_px"], row["culture_col_px"], row["culture_radius_px"])
        grid = geometry_for((1200, 1200), 2.82, culture=area)
        own = here.filter(geometry="inference").select("tile_row", "tile_col", "y0_px", "x0_px").rows()
        assert own == [(*tile, *start) for tile, start in zip(grid.tiles, grid.starts.tolist(), strict=True)]


def test_the_plate_map_names_what_the_truth_names(flat):
    out, plates = flat
    platemap = read_platemap(plates.platemaps / "SIM03001.csv")
    named = dict(platemap.filter(pl.col("condition").is_not_null()).select("Metadata_Well", "condition").iter_rows())
    assert named == dict(truth(out, "wells").select("Metadata_Well", "condition").unique().iter_rows())


def well_of(kind, severity, seed=0):
    condition = Condition(Well(5, 7), "C", "sample", kind, 0.0, severity, 34.0, 20.0, 0.02, 100.0)
    return draw_well(replace(SMALL, seed=seed), 0, 1, condition, condition.quadruplet, None)


@pytest.mark.parametrize("kind", KINDS)
def test_the_precipitates_area_rises_with_its_severity(kind):
    area = [well_of(kind, severity).truth["precipitate_px"] for severity in range(5)]
    assert area[0] == 0 and all(more > 1.5 * less for less, more in zip(area[:-1], area[1:], strict=True))


@pytest.mark.parametrize(("kind", "most_um"), [("rash", 20), ("grains", 20), ("necrotic", 20), ("needles", 30)])
def test_particles_have_the_area_of_a_disc_of_10_to_20_um(kind, most_um):
    """Few particles, so that they can be measured one by one; needles come in sheaves."""
    rngs = [np.random.default_rng(seed) for seed in (1, 2)]
    fallen = draw_precipitate((1200, 1200), (599.5, 599.5), 540.0, kind, 1, *rngs)
    labels, n = ndimage.label(fallen.mask, np.ones((3, 3)))
    across_um = 2 * np.sqrt(np.bincount(labels.ravel())[1:] / np.pi) * 2.82
    assert n > 15
    assert 9.5 <= np.median(across_um) <= most_um  # a disc of 9 px measures 9.5 µm, the next 10.6


def test_severity_rises_with_time_and_what_fell_stays():
    settings = replace(SMALL, timepoints_h=(24.0, 48.0, 72.0, 96.0), precipitating=1.0)
    for condition in plate_conditions(settings, 0):
        course = [condition.severity(hours) for _, hours in settings.visits]
        assert course == sorted(course) and course[-1] >= 1
        assert condition.severity(condition.onset_h - 0.1) == 0 and condition.severity(condition.onset_h) >= 1


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 0, 0), (0.2, 15, 24), (1.0, 96, 96)])
def test_as_many_conditions_precipitate_as_were_asked_for(share, least, most):
    conditions = plate_conditions(SimulationSettings(precipitating=share), 0)
    bad = [condition for condition in conditions if condition.final_severity]
    assert len(conditions) == 96 and least <= len(bad) <= most
    assert all(condition.role != "negative_control" for condition in bad)
    if share == 0.2:
        assert {condition.role for condition in conditions} == {"sample", "negative_control", "positive_control"}


def test_chosen_quadruplets_are_the_ones_that_hold_the_wells_named():
    settings = SimulationSettings(quadruplets=("B02", "O24", "A01"))
    assert [well.name for well in settings.groups] == ["A01", "O23"]


def test_real_images_serve_as_cells(real_data, tmp_path):
    background = real_data / "usiigaci-phase-contrast" / "labelled" / "train"
    settings = replace(SMALL, quadruplets=1, timepoints_h=(96.0,), background=background, masks=False)
    plates = simulate_plates(tmp_path, settings)
    image = tifffile.imread(sorted(plates.acquisitions[0].glob("*.tif"))[0])
    assert image.shape == (1200, 1200) and image[480:720, 480:720].std() > 4
    wells = truth(tmp_path, "wells")
    assert wells["confluence"].null_count() == wells.height  # nobody counted the cells of real images


def test_a_folder_without_images_of_cells_says_what_is_needed(tmp_path):
    Image.fromarray(np.zeros((400, 400), np.uint8)).save(tmp_path / "mask.png")
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(ValueError, match="TIFF or PNG of cells"):
        simulate_plates(tmp_path / "out", replace(SMALL, background=tmp_path))
    with pytest.raises(ValueError, match="is no folder"):
        replace(SMALL, background=tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"plate_prefix": "../P"}, "cannot name an acquisition"),
        ({"plate_prefix": "a/b"}, "cannot name an acquisition"),
        ({"timepoints": ("../24h",)}, "write it as 024h"),
        ({"timepoints": (" 24h",)}, "cannot name an acquisition"),
        ({"timepoints": ("24h", "24h")}, "named twice"),
        ({"timepoints_h": (-24.0,)}, "hours since the culture began"),
        ({"timepoints_h": (float("nan"),)}, "hours since the culture began"),
        ({"timepoints_h": ()}, "one time point or more"),
        ({"plates": 0}, "one plate"),
        ({"seed": -1}, "from 0 on"),
        ({"layout": "other"}, "none of flat, operetta"),
        ({"dtype": "float32"}, "none of uint8, uint16"),
        ({"precipitating": 1.5}, "a share"),
        ({"quadruplets": 97}, "1 to 96"),
        ({"quadruplets": ("Q01",)}, "A01 to O23"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_anything_is_written(wrong, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        replace(SMALL, **wrong)


def test_16_bit_plates_hold_the_same_wells_in_finer_steps(flat):
    condition = plate_conditions(SMALL, 0)[0]
    coarse = draw_well(SMALL, 0, 0, condition, condition.quadruplet, None)
    fine = draw_well(replace(SMALL, dtype="uint16"), 0, 0, condition, condition.quadruplet, None)
    assert fine.image.dtype == np.uint16
    assert np.abs(fine.image / 257 - coarse.image).max() <= 0.51


def test_the_trivial_baseline_does_not_tell_precipitated_quadruplets():
    """The largest local standard deviation of a quadruplet: `python -m benchmarks baseline` measures it on larger plates."""
    settings = SimulationSettings(seed=1, quadruplets=16, timepoints_h=(96.0,), precipitating=0.5)

    def largest(well_and_condition):
        well, condition = well_and_condition
        image = draw_well(settings, 0, 0, condition, well, None).image
        return local_std(cut_tiles(image, WellGeometry.inference())).max()

    conditions = plate_conditions(settings, 0)
    wells = [(well, one) for one in conditions for well in PlateFormat(384).quadruplets()[one.quadruplet.name]]
    with ThreadPoolExecutor(2) as pool:
        scores = np.array(list(pool.map(largest, wells))).reshape(-1, 4).max(axis=1)
    bad = np.array([one.severity(96.0) > 0 for one in conditions])
    higher = scores[bad][:, None] > scores[~bad][None, :]
    assert bad.sum() >= 7 and higher.mean() < 0.75  # the AUC
