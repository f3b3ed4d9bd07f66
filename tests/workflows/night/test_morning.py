"""The morning page's lines out of tables, its files, and the message."""

from datetime import UTC, datetime

import polars as pl
from upath import UPath

from plate_assets.pages.morning import MorningInputs
from plate_assets.plates.acquisition import Acquisition
from plate_assets.plates.tables import IMAGES
from plate_assets.workflows.night.morning import arrival_of, write_morning
from tests.made_plates import made_plate


def acquisition(present: int) -> Acquisition:
    inputs = made_plate(96)
    images = inputs.wells.select(
        "Metadata_Plate", "Metadata_Timepoint", "Metadata_Timepoint_h", "Metadata_Well", "Metadata_Row", "Metadata_Col"
    )
    images = images.with_row_index("n").with_columns(
        Metadata_Site=1, Metadata_Channel=pl.lit("default"), Metadata_Plane=1, path=pl.lit("x.tif"), page=0, size_bytes=1,
        present=pl.col("n") < present,
    ).drop("n")  # fmt: skip
    return Acquisition(
        "EX0042", "096h", 96.0, UPath("/nowhere"), "flat", inputs.plate_format, IMAGES.conform(images), None, "settled"
    )


def test_an_arrival_counts_the_wells_that_are_there_and_names_the_frequent_flags():
    quality = made_plate(96).quality
    line = arrival_of(acquisition(90), quality)
    assert (line.acquisition_id, line.n_wells, line.plate_wells, line.completeness) == ("EX0042_096h", 90, 96, "settled")
    flagged = quality.filter("flagged").height
    assert line.n_flagged == flagged and line.flags == f"out of focus ({flagged}), dust in the light path ({flagged})"


def test_the_page_is_written_under_the_nights_date_and_as_the_latest(tmp_path):
    inputs = MorningInputs(datetime(2026, 5, 4, 18, tzinfo=UTC), datetime(2026, 5, 5, 6, tzinfo=UTC))
    latest = write_morning(inputs, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2026-05-05.html", "morning.html"]
    assert latest.read_bytes() == (tmp_path / "2026-05-05.html").read_bytes()
