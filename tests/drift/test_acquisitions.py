"""Drift of acquisitions: what is compared with what, what is decided, and what is said where nothing can be decided."""

import json
from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest

from plate_assets.drift import acquisitions as drift
from plate_assets.drift import mmd, tables
from plate_assets.drift.acquisitions import DriftError, DriftSettings
from plate_assets.workflows.drift.vector_files import compare_files
from tests.made_embeddings import VERSION, embeddings


def reference_of(plates: int, hours=(24.0,), **about) -> drift.DriftReference:
    made = ((f"R{i:02d}_{age:03.0f}h", embeddings(f"R{i:02d}", age, **about)) for i in range(plates) for age in hours)
    return drift.build_reference(made, VERSION, tiles_per_acquisition=20)


@pytest.fixture(scope="module")
def reference():
    return reference_of(20, hours=(24.0, 48.0), growth=0.2)


def test_a_usual_plate_is_none_and_a_shifted_one_drift_and_all_tables_keep_their_schemas(reference):
    usual = drift.test_acquisition(reference, "N1_024h", embeddings("N1", growth=0.2))
    shifted = drift.test_acquisition(reference, "N1_024h", embeddings("N1", growth=0.2, shift=2.5))
    assert (usual.decision, shifted.decision) == ("none", "drift")
    row = shifted.test.row(0, named=True)
    assert row["p_value"] == row["p_floor"] == pytest.approx(1 / 21) and row["statistic"] > row["threshold"]
    assert row["effect"] > 3 and row["shift_sd"] > 2 and row["n_wells"] == row["n_wells_compared"] == 24
    for found, schema in (
        (shifted.test, tables.DRIFT_TESTS), (shifted.null, tables.DRIFT_NULL), (shifted.wells, tables.WELL_DRIFT),
        (shifted.tiles, tables.IMAGE_OUTLIERS),
    ):  # fmt: skip
        schema.check(found)
    assert shifted.null.height == 20 and shifted.wells.height == 24 and shifted.tiles.height == 96
    assert shifted.wells.sort("rank")["witness"].is_sorted(descending=True)


def test_growth_is_not_taken_for_drift_as_acquisitions_of_like_age_are_compared(reference):
    later = embeddings("N2", 48.0, growth=0.2)
    found = drift.test_acquisition(reference, "N2_048h", later)
    assert found.decision == "none" and set(found.null["reference_acquisition"].str.slice(4)) == {"048h"}
    # Told that it is younger, the same plate is far from those of that age.
    young = later.with_columns(Metadata_Timepoint_h=pl.lit(24.0), Metadata_Timepoint=pl.lit("024h"))
    assert drift.test_acquisition(reference, "N2_024h", young).decision == "drift"


def test_the_nearest_in_age_of_each_other_plate_is_taken_and_none_too_far(reference):
    wells = drift.well_vectors("R03_030h", embeddings("R03", 30.0))
    like = drift.of_like_age(reference.wells, wells, 20.0)
    assert "R03" not in like["Metadata_Plate"] and set(like["Metadata_Timepoint"]) == {"024h"}
    assert like["age_apart_h"].unique().to_list() == [6.0]
    assert drift.of_like_age(reference.wells, wells, 5.0).is_empty()
    unknown = drift.well_vectors("N_024h", embeddings("N", None))
    assert drift.of_like_age(reference.wells, unknown, 20.0).is_empty()


def test_a_well_is_the_mean_of_its_tiles():
    table = embeddings("P", wells=(2, 3), tiles=3)
    wells = drift.well_vectors("P_024h", table.sample(fraction=1.0, shuffle=True, seed=1))
    expected = {name[0]: drift.vectors_of(part["embedding"]).mean(axis=0) for name, part in table.group_by(["Metadata_Well"])}
    assert wells["Metadata_Well"].to_list() == sorted(expected) and wells["n_tiles"].unique().to_list() == [3]
    for name, vector in wells.select("Metadata_Well", "vector").iter_rows():
        assert vector == pytest.approx(expected[name], rel=1e-5)


@pytest.mark.parametrize(
    ("plates", "made", "words"),
    [
        (7, {}, "7 reference plates allow no p-value below 0.125: 19 are needed"),
        (1, {}, "1 reference plates within 6 h of its age, and 2 or more are needed"),
        (20, {"hours": 90.0}, "0 reference plates within 6 h"),
        (20, {"wells": (1, 2)}, "2 wells, and 4 or more are needed"),
    ],
)
def test_what_cannot_be_told_says_why(plates, made, words):
    found = drift.test_acquisition(reference_of(plates), "N1_x", embeddings("N1", made.pop("hours", 24.0), **made))
    assert found.decision == "cannot tell" and words in found.test["reasons"][0]


def test_few_plates_can_be_told_apart_by_the_fitted_null():
    found = drift.test_acquisition(reference_of(7), "N", embeddings("N", shift=6.0), DriftSettings(null="log_normal"))
    assert found.decision == "drift" and found.test["p_floor"][0] == 0


def test_another_version_of_the_embedding_is_an_error_that_names_both(reference):
    with pytest.raises(DriftError, match=r"'file:other', and the reference is of 'file:embedding'"):
        drift.test_acquisition(reference, "N1_024h", embeddings("N1", version="file:other"))
    with pytest.raises(DriftError, match="file:other"):
        drift.build_reference([("N1_024h", embeddings("N1", version="file:other"))], VERSION)
    with pytest.raises(DriftError, match="name known good plates"):
        drift.build_reference([], VERSION)
    with pytest.raises(DriftError, match="has no embeddings"):
        drift.test_acquisition(reference, "N1_024h", embeddings("N1").clear())
    broken = embeddings("N1").with_columns(embedding=pl.lit([0.0] * 5 + [float("nan")], pl.List(pl.Float32)))
    with pytest.raises(DriftError, match="NaN"):
        drift.test_acquisition(reference, "N1_024h", broken)


def test_a_reference_has_a_version_and_some_tiles_of_every_well(reference):
    again = reference_of(20, hours=(24.0, 48.0), growth=0.2)
    assert again.version == reference.version and again.tiles.equals(reference.tiles)
    assert reference_of(20).version != reference.version
    each = reference.tiles.group_by("acquisition").agg(n=pl.len(), wells=pl.col("Metadata_Well").n_unique())
    assert each["n"].unique().to_list() == [20] and each["wells"].unique().to_list() == [20]


def test_one_spoiled_image_is_an_outlier_of_its_plate_and_no_drift(reference):
    usual = embeddings("N1", growth=0.2)
    spoiled = usual.with_columns(
        embedding=pl.when(pl.int_range(pl.len()) == 30).then(pl.lit([40.0] * 6, pl.List(pl.Float32))).otherwise("embedding")
    )
    found = drift.test_acquisition(reference, "N1_024h", spoiled)
    odd = found.tiles.filter("outlier")
    assert found.decision == "none" and (usual["Metadata_Well"][30], 2) in odd.select("Metadata_Well", "tile_col").rows()
    assert odd.height <= 2 and found.test["outlier_share"][0] == pytest.approx(odd.height / 96)


def night_of(p_values: Sequence[float | None], floor: float) -> pl.DataFrame:
    made = [{"acquisition": f"N{i}", "p_value": p, "p_floor": floor, "null": "x"} for i, p in enumerate(p_values)]
    return pl.DataFrame(made, schema_overrides={"p_value": pl.Float64})


def test_a_night_names_those_that_stand_out_and_says_what_it_could_not_find():
    found = drift.night_discoveries(night_of([0.001, 0.5, None, 0.004], 0.001), rate=0.05)
    assert found["named"].to_list() == [True, False, False, True] and found["note"].unique().to_list() == [""]
    few = drift.night_discoveries(night_of([0.05] + [0.6] * 9, 0.05), rate=0.05)
    assert not few["named"].any() and "10 or more drift as clearly" in few["note"][0]
    assert "199 reference plates" in few["note"][0]
    none = drift.night_discoveries(night_of([0.1] * 10, 0.1), rate=0.05)
    assert "no plate can be named" in none["note"][0]
    assert drift.night_discoveries(night_of([None], 0.1))["adjusted_p"].to_list() == [None]


def written(tmp_path, name: str, table: pl.DataFrame):
    table.write_parquet(tmp_path / name)
    return tmp_path / name


def plates_in_one(names: list[str], **about) -> pl.DataFrame:
    return pl.concat([embeddings(name, wells=(2, 4), **about) for name in names])


def test_files_with_plates_are_compared_plate_by_plate(tmp_path):
    known = written(tmp_path, "known.parquet", plates_in_one([f"R{i}" for i in range(20)]))
    new = pl.concat([plates_in_one(["N1"]), plates_in_one(["N2"], shift=4.0)])
    found = compare_files(known, written(tmp_path, "new.parquet", new))
    assert (found["unit"], found["null"], found["decision"]) == ("well", "leave_one_plate_out", "drift")
    assert [(test["plate"], test["decision"]) for test in found["tests"]] == [("N1", "none"), ("N2", "drift")]
    json.dumps(found, allow_nan=False)


def test_files_without_plates_change_rows_at_random_and_say_so(tmp_path):
    rng = np.random.default_rng(0)
    known, new = rng.normal(size=(60, 3)), rng.normal(size=(30, 3)) + 2
    frames = [pl.DataFrame(values, schema=["a", "b", "c"]).with_columns(Metadata_Site=1) for values in (known, new)]
    places = [written(tmp_path, f"{i}.parquet", frame) for i, frame in enumerate(frames)]
    found = compare_files(*places, permutations=99)
    (test,) = found["tests"]
    assert (found["unit"], found["null"], found["decision"]) == ("row", "permutation", "drift")
    assert test["mmd2"] == mmd.test(known, new, permutations=99).mmd2 and "no plates are named" in test["reasons"]
    json.dumps(found, allow_nan=False)


@pytest.mark.alibi
def test_both_engines_find_the_same_mmd2(tmp_path):
    known = written(tmp_path, "known.parquet", plates_in_one(["R1", "R2", "R3"]))
    new = written(tmp_path, "new.parquet", plates_in_one(["N1"], shift=1.0))
    native = compare_files(known, new, null="permutation", permutations=99)["tests"][0]
    alibi = compare_files(known, new, engine="alibi", permutations=99)["tests"][0]
    assert alibi["mmd2"] == pytest.approx(native["mmd2"], abs=1e-5) and "native" in alibi["reasons"]


@pytest.mark.parametrize(
    ("new", "words"),
    [
        (pl.DataFrame({"name": ["a"]}), "holds no vectors"),
        (pl.DataFrame({"a": [1.0], "b": [2.0]}), "of 6 dimensions and .* of 2"),
        (pl.DataFrame({"x": [[1.0]], "y": [[1.0]]}), "several columns of vectors, x, y"),
        (pl.DataFrame({"x": [[1.0], [1.0, 2.0]]}), "as many"),
        (pl.DataFrame({"x": []}), "has no rows"),
        (embeddings("N1", version="file:other"), "embedding file:embedding, the new file of file:other"),
        (pl.concat([embeddings("N1", age) for age in (24.0, 48.0)]), "several time points of one plate"),
    ],
)
def test_files_that_cannot_be_compared_say_why(tmp_path, new, words):
    known = written(tmp_path, "known.parquet", embeddings("R1"))
    with pytest.raises(DriftError, match=words):
        compare_files(known, written(tmp_path, "new.parquet", new))


def test_a_file_that_is_not_there_and_an_unknown_engine_are_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no\.parquet does not exist"):
        compare_files(tmp_path / "no.parquet", tmp_path / "no.parquet")
    with pytest.raises(DriftError, match="is no engine"):
        compare_files("a", "b", engine="other")
