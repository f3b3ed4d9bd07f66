"""Edge, row and column effects: planted ones are found, none gives honest p-values, controls stay apart."""

import numpy as np
import polars as pl
import pytest

from plate_assets.plates.layout import PlateFormat
from plate_assets.precipitation.layout_effects import layout_effects


def plate(seed=0, wells=384, condition_sd=1.0, **planted):
    """A plate of quadruplets: a condition's wells share a level; `planted` adds to `edge`, `row` or `column`."""
    rng = np.random.default_rng(seed)
    size = PlateFormat(wells)
    level = {name: rng.normal(0, condition_sd) for name in size.quadruplets()}
    rows = []
    for well in size.all_wells():
        edge = well.row in (1, size.rows) or well.col in (1, size.cols)
        score = level[well.quadruplet] + rng.normal(0, 0.5)
        score += planted.get("edge", 0.0) * edge
        score += planted.get("row", 0.0) * (well.row / size.rows - 0.5) + planted.get("column", 0.0) * (
            well.col / size.cols - 0.5
        )
        rows.append({
            "Metadata_Plate": "P", "Metadata_Timepoint": "096h", "Metadata_Row": well.row, "Metadata_Col": well.col,
            "Metadata_Quadruplet": well.quadruplet, "score": score, "role": "sample", "excluded": False,
        })  # fmt: skip
    return pl.DataFrame(rows)


def p_values(wells, **options):
    found = layout_effects(wells, "score", permutations=options.pop("permutations", 499), **options)
    return dict(found.select("effect", "p_value").iter_rows())


@pytest.mark.parametrize(("effect", "size"), [("edge", 1.5), ("row", 3.0), ("column", 3.0)])
def test_a_planted_effect_is_found(effect, size):
    found = p_values(plate(**{effect: size}))
    assert found[effect] <= 0.01
    if effect != "edge":  # a slope along the rows lifts one edge and lowers the other
        assert found["edge"] > 0.05


def test_the_edge_is_told_with_its_sign_and_size():
    table = layout_effects(plate(edge=-2.0, condition_sd=0.2), "score", permutations=99)
    assert table.filter(effect="edge")["statistic"].item() == pytest.approx(-2.0, abs=0.3)


def test_without_an_effect_p_values_are_calibrated_although_wells_of_a_condition_resemble_each_other():
    found = [p_values(plate(seed, wells=96, condition_sd=3.0), permutations=99, seed=seed) for seed in range(150)]
    for effect in ("edge", "row", "column"):
        p = np.array([one[effect] for one in found])
        # 150 tests: 5 % are 7.5, more than 16 come by chance once in some 500 times
        assert (p <= 0.05).sum() <= 16 and 0.4 < p.mean() < 0.6


def test_controls_and_excluded_wells_take_no_part():
    clean = plate(seed=3)
    spoiled = clean.with_columns(score=pl.when(pl.col("Metadata_Col") == 1).then(100.0).otherwise("score"))
    assert p_values(spoiled)["column"] == pytest.approx(1 / 500)
    first = pl.col("Metadata_Col") == 1
    role = pl.when(first).then(pl.lit("negative_control")).otherwise("role")
    for without in (spoiled.with_columns(role=role), spoiled.with_columns(excluded=first)):
        table = layout_effects(without, "score", permutations=199)
        assert table["n_wells"].to_list() == [368] * 3
        assert p_values(without)["column"] > 0.02


def test_missing_scores_are_passed_over_and_the_columns_of_roles_are_not_needed():
    wells = plate(seed=4).drop("role", "excluded").with_columns(
        score=pl.when(pl.col("Metadata_Row") == 2).then(None).when(pl.col("Metadata_Row") == 3).then(np.nan).otherwise("score")
    )  # fmt: skip
    table = layout_effects(wells, "score", permutations=99)
    assert table["n_wells"].to_list() == [336] * 3 and table["p_value"].null_count() == 0


def test_the_same_seed_gives_the_same_p_values():
    wells = plate(seed=5, edge=0.3)
    assert p_values(wells, seed=7) == p_values(wells, seed=7) != p_values(wells, seed=8)


def test_what_cannot_be_tested_is_empty_and_not_a_number():
    wells = plate(wells=96)
    few = layout_effects(wells.head(7), "score")
    assert few["p_value"].to_list() == [None] * 3 and few["n_wells"].to_list() == [7] * 3
    one_row = dict(
        layout_effects(wells.filter(Metadata_Row=1), "score", permutations=99).select("effect", "p_value").iter_rows()
    )
    assert one_row["row"] is None and one_row["edge"] is None and one_row["column"] is not None
    flat = layout_effects(wells.with_columns(score=pl.lit(1.0)), "score")
    assert flat["statistic"].to_list() == [None] * 3
    assert layout_effects(wells.with_columns(score=pl.lit(None, pl.Float64)), "score")["n_wells"].to_list() == [0] * 3


def test_a_part_of_a_plate_has_its_edge_where_the_plate_has_it():
    inner = plate().filter(pl.col("Metadata_Row").is_between(3, 10), pl.col("Metadata_Col").is_between(3, 12))
    table = layout_effects(inner, "score", permutations=99, plate_format=PlateFormat(384))
    assert table.filter(effect="edge")["p_value"].item() is None  # no well of the edge took part


def test_two_time_points_at_once_are_refused():
    wells = plate(wells=96)
    both = pl.concat([wells, wells.with_columns(Metadata_Timepoint=pl.lit("024h"))])
    with pytest.raises(ValueError, match="filter the table first"):
        layout_effects(both, "score")
