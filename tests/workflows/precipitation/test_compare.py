"""Detectors compared on labelled plates: the threshold of a plate never comes from that plate."""

import numpy as np
import polars as pl
import pytest

from plate_assets.plates.layout import PlateFormat
from plate_assets.precipitation.tables import COMPARISON, EXPERT_LABELS, WELL_SCORES
from plate_assets.workflows.precipitation.compare import call_against_others, compare_wells

WELLS = PlateFormat(96).all_wells()


def plate(name: str, strength: float, seed: int, model: str = "m1") -> tuple[pl.DataFrame, pl.DataFrame]:
    """A 96-well plate of 24 quadruplets, the first four of them precipitated, and what an expert says of it."""
    rng = np.random.default_rng(seed)
    groups = list(PlateFormat(96).quadruplets())
    bad = set(groups[:4])
    rows = [
        {
            "Metadata_Plate": name, "Metadata_Timepoint": "096h", "Metadata_Timepoint_h": 96.0, "Metadata_Well": well.name,
            "Metadata_Row": well.row, "Metadata_Col": well.col, "Metadata_Quadruplet": well.quadruplet, "condition": "c",
            "role": "sample", "n_sites": 1, "n_tiles": 12,
            "score": float(rng.normal(1 + strength * (well.quadruplet in bad), 0.2)),
            "tile_max": 0.2, "local_std": float(rng.random()), "in_domain": True, "excluded": False, "flagged": False,
            "reasons": "", "model_version": model,
        }
        for well in WELLS
    ]  # fmt: skip
    labels = [
        {"Metadata_Plate": name, "Metadata_Timepoint": "096h", "Metadata_Quadruplet": group, "precipitated": group in bad,
         "author": "Ann"}
        for group in groups
    ]  # fmt: skip
    return WELL_SCORES.conform(pl.DataFrame(rows)), EXPERT_LABELS.conform(pl.DataFrame(labels))


def three_plates(strength: float, model: str = "m1") -> tuple[list[pl.DataFrame], pl.DataFrame]:
    made = [plate(f"P{i}", strength, i, model) for i in range(3)]
    return [wells for wells, _ in made], pl.concat([labels for _, labels in made])


def test_detectors_stand_beside_the_baseline_and_the_papers_forest():
    strong, experts = three_plates(2.0, "m1")
    weak, _ = three_plates(0.1, "m2")
    compared = compare_wells({"resnet101": strong, "cnn27": weak}, experts)
    assert COMPARISON.check(compared.table).select("detector", "method").rows() == [
        (name, method) for method in ("one_sided", "paper_forest") for name in ("resnet101", "cnn27", "local_std")
    ]
    auc = dict(compared.table.filter(method="one_sided").select("detector", "auc").iter_rows())
    assert auc["resnet101"] == 1.0 and auc["local_std"] < 0.8
    assert compared.best().startswith("resnet101: 1.000 [1.000, 1.000]")
    assert compared.markdown().count("\n") == 7
    assert {"ROC", "Confusion: resnet101", "Anomaly scores: cnn27"} <= set(compared.figures)
    assert all(figure.startswith(b"\x89PNG") for figure in compared.figures.values())


def test_a_plate_is_called_against_the_clean_conditions_of_the_other_plates():
    wells, experts = three_plates(2.0)
    calls = call_against_others(wells, experts, 0.01, "one_sided", 0)
    assert calls.group_by("Metadata_Plate").agg(pl.col("reference").n_unique())["reference"].to_list() == [1, 1, 1]
    assert calls["reference"].n_unique() == 3
    assert not calls["reasons"].str.contains("own reference").any()
    called = calls.join(experts, on=["Metadata_Plate", "Metadata_Quadruplet"]).filter("call")
    assert called.filter("precipitated").height == 12


def test_the_plates_own_scores_do_not_move_its_threshold():
    wells, experts = three_plates(2.0)
    before = call_against_others(wells, experts, 0.01, "one_sided", 0).filter(Metadata_Plate="P0")
    louder = [wells[0].with_columns(pl.col("score") * 100), *wells[1:]]
    after = call_against_others(louder, experts, 0.01, "one_sided", 0).filter(Metadata_Plate="P0")
    assert after["threshold"].to_list() == before["threshold"].to_list()
    assert after["call"].all()


def test_one_plate_alone_gets_an_auc_and_no_calls():
    wells, experts = plate("P0", 2.0, 0)
    row = compare_wells({"cnn27": [wells]}, experts).table.row(0, named=True)
    assert row["auc"] == pytest.approx(1.0) and row["accuracy"] is None and row["n_without_call"] == 24


def test_labels_of_plates_that_nobody_scored_are_not_compared():
    wells, experts = plate("P0", 2.0, 0)
    _, others = plate("P9", 2.0, 1)
    assert compare_wells({"cnn27": [wells]}, pl.concat([experts, others])).table["n_quadruplets"].to_list() == [24] * 4


def test_no_detector_gives_an_empty_table():
    compared = compare_wells({}, EXPERT_LABELS.empty())
    assert compared.table.is_empty() and compared.best().startswith("none")
