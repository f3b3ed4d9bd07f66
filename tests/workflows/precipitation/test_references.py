"""What a detector is judged and calibrated on: plates it did not learn from, and of them the clean conditions."""

from types import SimpleNamespace

import polars as pl
import pytest

from plate_assets.precipitation.tables import EXPERT_LABELS, WELL_SCORES
from plate_assets.workflows.precipitation.references import clean_reference
from plate_assets.workflows.precipitation.registration import apart_from, rows_to_observe
from tests.made_tables import rows_of

GROUPS = ["A01", "A01", "A03", "A03", "A05", "A05"]


def wells(plate: str, scores: list[float], **columns) -> pl.DataFrame:
    names = ["A01", "A02", "A03", "A04", "A05", "A06"]
    return rows_of(
        WELL_SCORES, 6, Metadata_Plate=[plate] * 6, Metadata_Timepoint=["024h"] * 6, Metadata_Well=names,
        Metadata_Quadruplet=GROUPS, score=scores, role=["sample"] * 6, in_domain=[True] * 6, model_version=["m"] * 6, **columns,
    )  # fmt: skip


def labels(*rows: tuple[str, str, bool]) -> pl.DataFrame:
    return rows_of(
        EXPERT_LABELS, len(rows), Metadata_Plate=[plate for plate, _, _ in rows], Metadata_Timepoint=["024h"] * len(rows),
        Metadata_Quadruplet=[group for _, group, _ in rows], precipitated=[bad for _, _, bad in rows],
    )  # fmt: skip


def test_a_condition_scores_its_worst_well_and_a_precipitated_one_is_no_reference():
    known = labels(("P1", "A03", True), ("P1", "A05", False), ("P2", "A01", True))
    found = clean_reference([wells("P1", [1, 2, 9, 9, 3, 1])], known)
    assert found.select("Metadata_Plate", "Metadata_Quadruplet", "score").rows() == [("P1", "A01", 2.0), ("P1", "A05", 3.0)]


def test_an_excluded_well_is_no_reference():
    excluded = [False, True, False, False, True, True]
    found = clean_reference([wells("P1", [1, 2, 4, 3, 5, 5], excluded=excluded)], labels())
    assert found.select("Metadata_Quadruplet", "score").rows() == [("A01", 1.0), ("A03", 4.0)]


def test_a_plate_that_was_learnt_from_is_refused_as_reference_by_name():
    plate = SimpleNamespace(acquisition_id="P1_024h", plates={"P1"})
    assert apart_from(plate, {"P2"}) is plate
    with pytest.raises(ValueError, match="P1_024h cannot serve as reference: the detector was trained on tiles of its plate"):
        apart_from(plate, {"P1", "P2"})


def test_the_ranges_of_activations_come_from_training_tiles_of_both_classes():
    split = ["train"] * 300 + ["test"] * 50
    labelled = pl.DataFrame({"index": range(350), "anomalous": [i % 30 == 0 for i in range(350)], "split": split})
    rows = rows_to_observe(labelled, seed=0, of_each=20)
    assert len(rows) == 30 and max(rows) < 300 and sum(row % 30 == 0 for row in rows) == 10
    assert sorted(rows) == rows.tolist()
