"""Verdicts come in from people: recorded with author and time, the last one counts, and what fits nothing is told."""

from datetime import UTC, datetime

import polars as pl
import pytest
from upath import UPath

from plate_assets.dry_mass.tables import ANNOTATIONS, CELL_ANOMALIES
from plate_assets.dry_mass.verdicts import latest_verdicts, verdict_precision
from plate_assets.workflows.dry_mass.annotate import AnnotationError, annotate, annotations
from tests.made_tables import rows_of


@pytest.fixture
def cells() -> pl.DataFrame:
    keys = {"Metadata_Timelapse": ["T1", "T1", "T2"], "path_id": [3, 8, 3]}
    return rows_of(CELL_ANOMALIES, 3, **keys, abnormal=[True] * 3, cause=["biological"] * 3)


def test_a_verdict_is_kept_with_its_author_and_its_time_and_the_last_one_counts(tmp_path, cells):
    ledger, before = UPath(tmp_path / "annotations"), datetime.now(UTC)
    assert annotations(ledger).is_empty()
    annotate(ledger, cells, "T1", 8, "false_positive", author="Ann")
    annotate(ledger, cells, "T2", 3, "acquisition", author="Ann")
    row = annotate(ledger, cells, "T1", 8, "biological", "merge", author=" Bo ")
    kept = ANNOTATIONS.check(annotations(ledger))
    assert kept["verdict"].to_list() == ["false_positive", "acquisition", "biological"] and kept[2].equals(row)
    assert kept["author"].to_list() == ["Ann", "Ann", "Bo"]
    assert before <= kept["decided_at"][0] <= kept["decided_at"][2] <= datetime.now(UTC)
    assert latest_verdicts(kept).filter(path_id=8)["biology"].to_list() == ["merge"]
    assert verdict_precision(kept, cells).filter(kind="precision").select("n", "whole").row(0) == (2, 2)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("T1", 5, "acquisition", None, "Ann"), "has no path 5: its 2 paths are called 3 to 8"),
        (("T9", 3, "acquisition", None, "Ann"), r"no anomalies of the time-lapse 'T9': there are those of \['T1', 'T2'\]"),
        (("T1", 3, "odd", None, "Ann"), "'odd' is no verdict: choose one of acquisition, biological"),
        (("T1", 3, "biological", "ill", "Ann"), "'ill' is no class of biology: choose one of division"),
        (("T1", 3, "acquisition", "dead", "Ann"), "'acquisition' has no biology"),
        (("T1", 3, "acquisition", None, " "), "say who decided"),
    ],
)
def test_what_fits_nothing_is_told_and_nothing_is_recorded(tmp_path, cells, given, words):
    *what, author = given
    with pytest.raises(AnnotationError, match=words):
        annotate(UPath(tmp_path), cells, *what, author=author)
    assert annotations(UPath(tmp_path)).is_empty()
