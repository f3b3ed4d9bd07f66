"""Wells: what their score is made of, and every reason that stands beside it."""

from datetime import UTC, datetime

import polars as pl
import pytest

from plate_assets.plates.layout import Well
from plate_assets.plates.tables import EXCLUSIONS, IMAGE_QUALITY, PLATE_MAP
from plate_assets.precipitation.quadruplets import call_quadruplets
from plate_assets.precipitation.tables import PATCH_SCORES, WELL_SCORES
from plate_assets.workflows.precipitation.calls import as_baseline, excluded_wells, reference_scores, score_wells


def keys(well: str, plate: str = "P1") -> dict:
    place = Well.parse(well)
    return {
        "Metadata_Plate": plate, "Metadata_Timepoint": "096h", "Metadata_Timepoint_h": 96.0, "Metadata_Well": well,
        "Metadata_Row": place.row, "Metadata_Col": place.col, "Metadata_Quadruplet": place.quadruplet,
    }  # fmt: skip


def tile(well: str, score: float, number: int = 0, site: int = 1, channel: str = "default", **changes) -> dict:
    return keys(well) | {
        "Metadata_Site": site, "Metadata_Channel": channel, "tile_row": 0, "tile_col": number, "culture_share": 1.0,
        "in_domain": True, "score": score, "local_std": score / 10, "model_version": "file:aaa",
    } | changes  # fmt: skip


def tiles(*rows: dict) -> pl.DataFrame:
    return PATCH_SCORES.conform(pl.DataFrame(rows)) if rows else PATCH_SCORES.empty()


def platemap(*wells: str, **roles: str) -> pl.DataFrame:
    rows = [
        {name: keys(well)[name] for name in ("Metadata_Well", "Metadata_Row", "Metadata_Col", "Metadata_Quadruplet")}
        | {"condition": f"condition of {well}", "role": roles.get(well, "sample")}
        for well in wells
    ]
    return PLATE_MAP.conform(pl.DataFrame(rows))


def quality(**reasons: str) -> pl.DataFrame:
    rows = [
        keys(well) | {
            "Metadata_Site": 1, "Metadata_Channel": "default", "Metadata_Plane": 1, "readable": True, "empty": False,
            "flagged": bool(reason), "reasons": reason,
        }
        for well, reason in reasons.items()
    ]  # fmt: skip
    return IMAGE_QUALITY.conform(pl.DataFrame(rows).drop("Metadata_Quadruplet"))


def decisions(*rows: tuple[str | None, bool, str]) -> pl.DataFrame:
    return EXCLUSIONS.conform(
        pl.DataFrame(
            [
                {"Metadata_Plate": "P1", "Metadata_Well": well, "excluded": out, "reason": why, "author": "Ann",
                 "decided_at": datetime(2024, 1, day + 1, tzinfo=UTC)}
                for day, (well, out, why) in enumerate(rows)
            ],
            schema_overrides={"Metadata_Well": pl.String},
        )
    )  # fmt: skip


def test_a_well_scores_the_sum_of_its_tiles_over_its_largest_site_and_channel():
    scores = tiles(
        tile("A01", 1.0), tile("A01", 2.0, 1), tile("A01", 4.0, 0, site=2), tile("A01", 1.0, 1, site=2),
        tile("A01", 2.5, 0, channel="phase"),
    )  # fmt: skip
    row = score_wells(scores, platemap("A01"), quality(A01=""), EXCLUSIONS.empty()).row(0, named=True)
    assert (row["score"], row["tile_max"], row["n_sites"], row["n_tiles"], row["local_std"]) == (5.0, 4.0, 2, 5, 0.4)
    assert (row["flagged"], row["reasons"], row["model_version"]) == (False, "", "file:aaa")


def test_every_well_has_its_reasons():
    scores = tiles(tile("A01", 1.0), tile("A02", 1.0), tile("H12", 1.0))
    seen = quality(A01="out of focus; dark corner", A02="", B01="cannot be read", H12="")
    wells = score_wells(scores, platemap("A01", "A02", "B01", "B02", "C01", C01="empty"), seen, EXCLUSIONS.empty())
    assert dict(wells.select("Metadata_Well", "reasons").iter_rows()) == {
        "A01": "out of focus; dark corner",
        "A02": "",
        "B01": "cannot be read; no image that could be scored",
        "B02": "no image",
        "C01": "",
        "H12": "the plate map does not name this well",
    }
    assert wells.filter("flagged")["Metadata_Well"].to_list() == ["A01", "B01", "B02", "H12"]
    assert wells.filter(pl.col("score").is_null())["Metadata_Well"].to_list() == ["B01", "B02", "C01"]


def test_a_well_outside_the_plate_map_is_shown_and_not_called():
    wells = score_wells(tiles(tile("H11", 1.0)), platemap("A01"), quality(H11=""), EXCLUSIONS.empty())
    reference = pl.DataFrame({
        "Metadata_Plate": "R", "Metadata_Timepoint": "1", "Metadata_Quadruplet": [str(i) for i in range(20)],
        "score": [i / 20 for i in range(20)],
    })  # fmt: skip
    calls = call_quadruplets(wells, reference).filter(Metadata_Quadruplet="G11")
    assert calls["call"].to_list() == [None] and "does not name" in calls["reasons"][0]


def test_an_excluded_well_keeps_its_score_and_names_the_reason():
    wells = score_wells(tiles(tile("A01", 7.0)), platemap("A01"), quality(A01=""), decisions(("A01", True, "a fibre")))
    row = wells.row(0, named=True)
    assert (row["excluded"], row["score"], row["reasons"], row["flagged"]) == (True, 7.0, "excluded: a fibre", False)


@pytest.mark.parametrize(
    ("history", "plate", "wells"),
    [
        ([("A01", True, "x"), ("A01", False, "fine")], None, {}),
        ([("A01", False, "fine"), ("a1", True, "x")], None, {"A01": "x"}),
        ([("A01", True, "x"), (None, True, "spilt"), (None, False, "dried")], None, {"A01": "x"}),
        ([("", True, "spilt")], "spilt", {}),
    ],
)
def test_the_last_decision_counts_for_a_well_and_for_a_plate(history, plate, wells):
    assert excluded_wells(decisions(*history), "P1") == (plate, wells)
    assert excluded_wells(decisions(*history), "P2") == (None, {})


def test_a_plate_taken_out_takes_out_every_well():
    scores = tiles(tile("A01", 1.0), tile("A02", 1.0))
    wells = score_wells(scores, platemap("A01", "A02"), quality(A01="", A02=""), decisions((None, True, "spilt")))
    assert wells["excluded"].all() and wells["reasons"].to_list() == ["excluded: spilt"] * 2


def test_a_plate_without_one_scored_image_still_has_a_row_for_each_well():
    wells = score_wells(tiles(), platemap("A01"), quality(A01="cannot be read"), EXCLUSIONS.empty(), "file:bbb")
    assert wells["score"].to_list() == [None] and wells["model_version"].to_list() == ["file:bbb"]


def test_tiles_of_two_models_are_refused():
    scores = tiles(tile("A01", 1.0), tile("A02", 1.0, model_version="file:bbb"))
    with pytest.raises(ValueError, match="one model"):
        score_wells(scores, platemap("A01"), quality(A01=""), EXCLUSIONS.empty())


def test_reference_scores_are_the_same_from_wells_and_from_calls():
    scores = tiles(tile("A01", 1.0), tile("A02", 3.0), tile("C01", 2.0), tile("E01", 9.0), tile("G01", 5.0, in_domain=False))
    places = platemap("A01", "A02", "C01", "E01", "G01", E01="positive_control")
    wells = score_wells(scores, places, quality(A01=""), EXCLUSIONS.empty())
    reference = reference_scores([wells])
    assert dict(reference.select("Metadata_Quadruplet", "score").iter_rows()) == {"A01": 3.0, "C01": 2.0}
    assert reference.equals(reference_scores([call_quadruplets(wells, None)]))
    assert reference.equals(reference_scores([wells, wells]))
    assert reference_scores([WELL_SCORES.empty()]).is_empty()


def test_reference_scores_of_two_models_are_refused():
    wells = score_wells(tiles(tile("A01", 1.0)), platemap("A01"), quality(A01=""), EXCLUSIONS.empty())
    with pytest.raises(ValueError, match="one model"):
        reference_scores([wells, as_baseline(wells)])
    assert reference_scores([as_baseline(wells)])["score"].to_list() == [0.1]
