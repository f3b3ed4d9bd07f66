"""Verdicts of people: the last one counts, the paper's own counts give its precision, and intervals are scipy's."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from plate_assets.dry_mass.tables import ANNOTATIONS, CELL_ANOMALIES
from plate_assets.dry_mass.verdicts import latest_verdicts, proportion_interval, verdict_precision
from tests.made_tables import rows_of

counts = st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts, st.sampled_from([("wilson", "wilson"), ("clopper_pearson", "exact")]), st.sampled_from([0.9, 0.95, 0.99]))
def test_intervals_are_scipys(count, methods, confidence):
    (ours, scipys), (part, whole) = methods, count
    oracle = binomtest(part, whole).proportion_ci(confidence, scipys)
    assert proportion_interval(part, whole, ours, confidence) == pytest.approx((oracle.low, oracle.high), abs=1e-9)


def test_nothing_counted_has_no_interval_and_what_is_no_proportion_is_refused():
    assert np.isnan(proportion_interval(0, 0)).all()
    with pytest.raises(ValueError, match="5 of 4 is no proportion"):
        proportion_interval(5, 4)
    with pytest.raises(ValueError, match="'wald' is no interval"):
        proportion_interval(1, 4, "wald")  # pyright: ignore[reportArgumentType]


def annotations(verdicts: list[tuple[int, str, str | None]]) -> pl.DataFrame:
    began = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [
        {"Metadata_Timelapse": "T1", "path_id": path, "verdict": verdict, "biology": biology, "author": "Ann",
         "decided_at": began + timedelta(minutes=number)}
        for number, (path, verdict, biology) in enumerate(verdicts)
    ]  # fmt: skip
    return ANNOTATIONS.conform(pl.DataFrame(rows, schema_overrides={"biology": pl.String}))


def counted(classes: dict[str, int], biology: dict[str, int] | None = None) -> pl.DataFrame:
    verdicts = [name for name, n in classes.items() for _ in range(n)]
    kinds = iter([name for name, n in (biology or {}).items() for _ in range(n)])
    return annotations(
        [(path, name, next(kinds, None) if name == "biological" else None) for path, name in enumerate(verdicts)]
    )


PAPER = {  # Tables 2-5
    "A": ((51, 38, 3, 8, 4), (3, 19, 10, 2, 3, 1), 0.962),
    "B": ((32, 40, 4, 10, 17), (6, 16, 2, 8, 8, 0), 0.835),
    "B by A": ((44, 45, 7, 4, 4), (9, 22, 4, 3, 5, 2), 0.962),
}
VERDICTS = ("acquisition", "biological", "both", "either", "false_positive")
BIOLOGY = ("division", "growth", "merge", "too_big", "dead", "other")


@pytest.mark.parametrize("name", PAPER)
def test_the_papers_verdicts_give_its_precision_and_its_classes(name):
    verdicts, biology, precision = PAPER[name]
    table = verdict_precision(counted(dict(zip(VERDICTS, verdicts, strict=True)), dict(zip(BIOLOGY, biology, strict=True))))
    found = table.filter(kind="precision").row(0, named=True)
    assert found["share"] == pytest.approx(precision, abs=5e-4)
    assert found["low"] < found["share"] < found["high"] and found["whole"] == sum(verdicts)
    assert table.filter(kind="verdict")["n"].to_list() == list(verdicts)
    assert table.filter(kind="biology")["n"].to_list() == list(biology)
    assert table.filter(kind="biology")["whole"].unique().to_list() == [verdicts[1]]


def test_the_last_verdict_on_a_path_counts():
    table = annotations([(1, "false_positive", None), (2, "acquisition", None), (1, "biological", "dead")])
    assert latest_verdicts(table).sort("path_id")["verdict"].to_list() == ["biological", "acquisition"]
    assert latest_verdicts(table.reverse()).sort("path_id")["verdict"].to_list() == ["biological", "acquisition"]
    assert verdict_precision(table).filter(kind="precision")["share"].to_list() == [1.0]


def test_verdicts_on_paths_that_are_not_flagged_do_not_count():
    table = annotations([(1, "biological", "dead"), (2, "false_positive", None), (3, "false_positive", None)])
    cells = rows_of(CELL_ANOMALIES, 3, Metadata_Timelapse=["T1"] * 3, path_id=[1, 2, 3], abnormal=[True, True, None])
    assert verdict_precision(table, cells).filter(kind="precision").select("n", "whole").row(0) == (1, 2)


def test_a_guess_at_the_cause_is_held_against_the_verdicts_and_both_agree_with_either():
    said = ["acquisition", "biological", "both", "either", "false_positive", "acquisition"]
    table = annotations([(path, verdict, None) for path, verdict in enumerate(said)])
    causes = ["acquisition", "acquisition", "acquisition", "biological", "biological", "biological"]
    keys = {"Metadata_Timelapse": ["T1"] * 6, "path_id": list(range(6)), "abnormal": [True] * 6}
    found = verdict_precision(table, rows_of(CELL_ANOMALIES, 6, **keys, cause=causes)).filter(kind="guess")
    assert found.select("name", "n", "whole").rows() == [("acquisition", 2, 3), ("biological", 1, 3)]


def test_no_verdict_has_no_precision_and_an_unknown_one_is_named():
    table = verdict_precision(ANNOTATIONS.empty())
    assert table["n"].sum() == 0 and table["share"].null_count() == table.height == 12
    with pytest.raises(ValueError, match="path 7: verdict 'odd' is none of acquisition"):
        latest_verdicts(annotations([(7, "odd", None)]))
    with pytest.raises(ValueError, match="path 7: biology 'ill' is none of division"):
        latest_verdicts(annotations([(7, "biological", "ill")]))
