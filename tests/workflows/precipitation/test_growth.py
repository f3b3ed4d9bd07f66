"""Growth of a plate: one row for each well, broken wells empty, sites averaged, the wall's place told where it was found."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import tifffile

from plate_assets.plates.fields import Fields
from plate_assets.plates.platemap import platemap_of
from plate_assets.plates.readers import ReadOptions, open_acquisition
from plate_assets.plates.simulate import SimulationSettings, simulate_plates
from plate_assets.precipitation.tables import GROWTH
from plate_assets.workflows.precipitation.growth import growth_table
from plate_assets.workflows.precipitation.patches import cut_patches


def table_of(folder, options=None, **more):
    acquisition = open_acquisition(folder, options)
    return growth_table(Fields.of(acquisition), platemap_of(acquisition, None), **more)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    out = tmp_path_factory.mktemp("simulated")
    return out, simulate_plates(out, SimulationSettings(quadruplets=2, timepoints_h=(24.0, 96.0), seed=6))


def test_confluence_follows_the_truth_and_rises_between_visits(simulated):
    out, plates = simulated
    text = {"Metadata_Plate": pl.String, "Metadata_Timepoint": pl.String}
    truth = pl.read_csv(out / "truth" / "wells.csv", schema_overrides=text)
    visits = [table_of(folder) for folder in plates.acquisitions]
    for table in visits:
        GROWTH.check(table)
        assert table["Metadata_Well"].to_list() == sorted(table["Metadata_Well"]) and table.height == 8
        both = table.join(truth, on=["Metadata_Timepoint", "Metadata_Well"])
        assert both["confluence"].to_numpy() == pytest.approx(both["confluence_right"].to_numpy(), abs=0.1)
        assert both["culture_row_px"].to_numpy() == pytest.approx(both["culture_row_px_right"].to_numpy(), abs=2)
        assert both["culture_radius_px"].to_numpy() == pytest.approx(both["culture_radius_px_right"].to_numpy(), abs=4)
    assert (visits[1]["confluence"] > visits[0]["confluence"]).all()
    assert (visits[1]["cell_density_mm2"] > visits[0]["cell_density_mm2"]).all()


def test_areas_found_while_tiles_were_cut_are_taken_over_and_give_the_same(simulated):
    fields = Fields.of(open_acquisition(simulated[1].acquisitions[0]))
    platemap, areas = platemap_of(fields.acquisition, None), {}
    for _ in cut_patches(fields, platemap, areas=areas):
        pass
    table = growth_table(fields, platemap, areas=areas)
    assert table.equals(growth_table(fields, platemap)) and len(areas) == 8
    moved = {place: replace(area, radius=area.radius - 1) for place, area in areas.items()}
    told = growth_table(fields, platemap, areas=moved)
    assert (told["culture_radius_px"] - table["culture_radius_px"]).to_numpy() == pytest.approx(-1)  # not searched for again


def test_precipitate_is_not_taken_for_growth(simulated):
    """Cells are the same with and without it: what a full precipitate adds stays below what two days of growth add."""
    from plate_assets.plates.images import to_grey
    from plate_assets.plates.layout import Well
    from plate_assets.plates.simulate.plan import Condition
    from plate_assets.plates.simulate.well import draw_well
    from plate_assets.precipitation.growth import measure_growth

    settings = SimulationSettings(quadruplets=1, timepoints_h=(48.0, 96.0), seed=6)

    def confluence(visit, kind, severity):
        condition = Condition(Well(1, 1), "C", "sample", kind, 0.0 if severity else np.inf, severity, 34.0, 22.0, 0.02, 100.0)
        return measure_growth(to_grey(draw_well(settings, 0, visit, condition, Well(1, 1), None).image), 2.82).confluence

    grown = confluence(1, "none", 0) - confluence(0, "none", 0)
    assert all(abs(confluence(1, kind, 2) - confluence(1, "none", 0)) < grown for kind in ("rash", "grains", "necrotic"))


def test_a_broken_image_leaves_an_empty_row_and_the_sites_of_a_well_their_mean(tmp_path):
    folder = tmp_path / "P_024h"
    folder.mkdir()
    rng = np.random.default_rng(0)
    cells = np.kron(rng.normal(0, 25, (64, 64)), np.ones((4, 4)))
    for name, covered in (("A01_s1", 1.0), ("A01_s2", 0.0), ("A02_s1", 0.5), ("A03_s1", 0.5)):
        image = 120 + rng.normal(0, 1.5, (256, 256)) + np.where(np.arange(256) < 256 * covered, cells, 0)
        tifffile.imwrite(folder / f"{name}.tif", image.clip(0, 255).astype(np.uint8))
    acquisition = open_acquisition(folder)
    (folder / "A02_s1.tif").write_bytes((folder / "A02_s1.tif").read_bytes()[:500])
    steps = []
    table = growth_table(Fields.of(acquisition), platemap_of(acquisition, None), progress=lambda *step: steps.append(step))
    assert table["Metadata_Well"].to_list() == ["A01", "A02", "A03"] and steps[-1] == (4, 4)
    assert table["confluence"].to_list() == [pytest.approx(0.5, abs=0.06), None, pytest.approx(0.5, abs=0.06)]
    assert table["cell_density_mm2"].null_count() == 3  # the scale is unknown
    assert table["culture_radius_px"].null_count() == 3  # a field shows no wall


def test_where_no_wall_was_found_growth_is_told_and_its_place_is_not(tmp_path):
    (tmp_path / "P_024h").mkdir()
    cells = np.kron(np.random.default_rng(0).normal(120, 20, (150, 150)), np.ones((8, 8)))
    tifffile.imwrite(tmp_path / "P_024h" / "A01.tif", cells.clip(0, 255).astype(np.uint8))
    row = table_of(tmp_path / "P_024h", ReadOptions(pixel_um=2.82)).row(0, named=True)
    assert row["confluence"] is not None and row["cell_density_mm2"] is not None
    assert row["culture_row_px"] is row["culture_col_px"] is row["culture_radius_px"] is None


def test_real_fields_have_a_confluence_and_no_culture_area(real_data):
    operetta = table_of(real_data / "operetta-harmony-384" / "tests" / "operetta_plate")
    assert operetta["Metadata_Well"].to_list() == ["C03"] and operetta["culture_radius_px"].null_count() == 1
    folder = real_data / "cellprofiler-examples" / "ExampleIlluminationCorrection" / "images"
    row = table_of(folder, ReadOptions(timepoint="024h"))
    assert row.height > 10 and row["confluence"].is_between(0, 1).all()
    assert operetta["cell_density_mm2"].item() > 0 and row["cell_density_mm2"].null_count() == row.height
