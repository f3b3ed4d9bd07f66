"""Plates made of numbers, for the tests of what people see: tables of the real schemas, pictures and maps as functions."""

import numpy as np
import polars as pl

from plate_assets.plates.layout import PlateFormat, Well
from plate_assets.plates.tables import IMAGE_QUALITY
from plate_assets.precipitation.report import ReportInputs
from plate_assets.precipitation.tables import GROWTH, LAYOUT_EFFECTS, PATCH_SCORES, QUADRUPLET_CALLS, WELL_SCORES

KEYS = ("Metadata_Plate", "Metadata_Timepoint", "Metadata_Timepoint_h", "Metadata_Well", "Metadata_Row", "Metadata_Col")
MODEL = "models:/precipitation-detector/3"


def made_plate(
    wells: int = 96,
    seed: int = 0,
    called: int = 3,
    used: float = 1.0,
    side_px: int = 240,
    condition: str = "medium {}",
    plate: str = "EX0042",
    in_domain: bool = True,
    with_reference: bool = True,
    doubts: bool = True,
    **changes,
) -> ReportInputs:
    """A plate whose first `called` groups in a random order are precipitated: bright grains in the picture, high in the map."""
    draw = np.random.default_rng(seed)
    plate_format = PlateFormat(wells)
    everything = plate_format.all_wells()
    groups = sorted({well.quadruplet for well in everything}, key=lambda name: Well.parse(name))
    kept = groups[: max(1, round(used * len(groups)))]
    bad = list(draw.permutation(kept)[:called])
    places = [well for well in everything if well.quadruplet in kept]
    base = {name: 1.0 + 0.12 * draw.standard_normal() for name in (well.name for well in places)}
    rows, growth, tiles = [], [], []
    for i, well in enumerate(places):
        doubtful = doubts and i % 37 == 5
        excluded = doubts and i % 61 == 20
        score = base[well.name] + (2.0 + 0.5 * draw.random()) * (well.quadruplet in bad)
        keys = {
            "Metadata_Plate": plate, "Metadata_Timepoint": "096h", "Metadata_Timepoint_h": 96.0, "Metadata_Well": well.name,
            "Metadata_Row": well.row, "Metadata_Col": well.col, "Metadata_Quadruplet": well.quadruplet,
        }  # fmt: skip
        role = "negative_control" if well.col == 1 and wells >= 96 else "sample"
        rows.append({
            **keys, "condition": condition.format(well.quadruplet), "role": role, "n_sites": 1, "n_tiles": 12,
            "score": None if doubts and i == 7 else score, "tile_max": score / 6, "local_std": 0.02 + 0.004 * draw.random(),
            "in_domain": in_domain, "excluded": excluded, "flagged": doubtful,
            "reasons": "out of focus; dust in the light path" if doubtful else "truncated file" if doubts and i == 7 else "",
            "model_version": MODEL,
        })  # fmt: skip
        confluence = float(
            np.clip(0.7 - 0.12 * (well.quadruplet in bad) + 0.06 * draw.standard_normal() - 0.02 * (well.row == 1), 0, 1)
        )
        growth.append({**keys, "confluence": confluence, "cell_density_mm2": 900 * confluence})
        for tile in range(12):
            tiles.append({
                **keys, "Metadata_Site": 1, "Metadata_Channel": "default", "tile_row": tile // 4, "tile_col": tile % 4,
                "culture_share": 1.0, "in_domain": in_domain, "score": score / 12, "local_std": 0.02, "model_version": MODEL,
            })  # fmt: skip
    well_scores = WELL_SCORES.conform(pl.DataFrame(rows, infer_schema_length=None))
    inputs = {
        "acquisition_id": "EX0042_096h", "plate": plate, "timepoint": "096h", "plate_format": plate_format,
        "wells": well_scores,
        "calls": _calls(well_scores, bad, in_domain and with_reference), "tiles": PATCH_SCORES.conform(pl.DataFrame(tiles)),
        "growth": GROWTH.conform(pl.DataFrame(growth)), "quality": _quality(well_scores, draw),
        "effects": _effects(well_scores),
        "well_picture": lambda name: _picture(name, name in base and Well.parse(name).quadruplet in bad, side_px),
        "well_heat": lambda name: _heat(Well.parse(name).quadruplet in bad, name), "heat_scale": (0.0, 1.0),
        "model": {"Detector": "FCDD, ResNet101", "λ": 0.01},
    }  # fmt: skip
    return ReportInputs(**{**inputs, **changes})


def _calls(wells: pl.DataFrame, bad: list[str], callable_: bool) -> pl.DataFrame:
    counting = pl.col("score").is_not_null() & ~pl.col("excluded")
    keys = ["Metadata_Plate", "Metadata_Timepoint", "Metadata_Timepoint_h", "Metadata_Quadruplet"]
    groups = wells.group_by(keys, maintain_order=True).agg(
        pl.col("condition").first(), pl.col("role").last(), counting.sum().alias("n_wells"),
        pl.col("Metadata_Well").filter(counting).str.join(" ").alias("wells"), pl.col("score").filter(counting).max(),
        pl.col("in_domain").all(), pl.col("model_version").first(),
        pl.when(pl.col("flagged").any()).then(pl.lit("a well is flagged")).otherwise(pl.lit("")).alias("reasons"),
    )  # fmt: skip
    call = pl.col("Metadata_Quadruplet").is_in(bad)
    isolation = (0.45 + 0.13 * (pl.col("score") - 1)).clip(0, 0.9)
    outside = pl.lit("outside the model's domain, or no reference scores: add a reference plate")
    return QUADRUPLET_CALLS.conform(
        groups.with_columns(
            normalised_score=(pl.col("score") - 1) / 0.12,
            anomaly_score=pl.when(callable_).then(isolation),
            threshold=pl.when(callable_).then(0.5435),
            call=pl.when(callable_).then(call),
            reasons=pl.when(callable_).then("reasons").otherwise(outside),
            reference=pl.lit("9f3ac41be07d22aa") if callable_ else pl.lit(None, pl.String),
        )
    )


def _quality(wells: pl.DataFrame, draw: np.random.Generator) -> pl.DataFrame:
    measures = {
        "readable": True, "width_px": 1200, "height_px": 1200, "dtype": "uint16", "mean_intensity": 0.4, "saturated_share": 0.0,
        "dark_share": 0.0, "illumination_falloff": 0.21, "empty": False, "Metadata_Site": 1,
        "Metadata_Channel": "default", "Metadata_Plane": 1,
    }  # fmt: skip
    return IMAGE_QUALITY.conform(
        wells.select(*KEYS, "flagged", "reasons", focus=pl.Series(draw.random(wells.height))).with_columns(
            pl.lit(value).alias(name) for name, value in measures.items()
        )
    )


def _effects(wells: pl.DataFrame) -> pl.DataFrame:
    rows = [
        {"Metadata_Plate": wells["Metadata_Plate"][0], "Metadata_Timepoint": "096h", "measure": measure, "effect": effect,
         "statistic": 0.031, "p_value": p, "n_wells": wells.height}
        for measure in ("score", "confluence") for effect, p in (("edge", 0.004), ("row", 0.32), ("column", None))
    ]  # fmt: skip
    return LAYOUT_EFFECTS.conform(pl.DataFrame(rows))


def _seed(name: str) -> np.random.Generator:
    well = Well.parse(name)
    return np.random.default_rng(100 * well.row + well.col)


def _picture(name: str, grains: bool, side: int) -> np.ndarray:
    """A disc of culture with coarse texture; grains are small and dark with a bright rim."""
    draw = _seed(name)
    y, x = np.mgrid[:side, :side] / side - 0.5
    coarse = draw.standard_normal((side // 6 + 1, side // 6 + 1)).repeat(6, 0).repeat(6, 1)[:side, :side]
    image = 21_000 + 1_500 * draw.standard_normal((side, side)) + 2_200 * coarse - 9_000 * (np.hypot(x, y) > 0.45)
    if grains:
        for r, c in draw.integers(side // 5, side - side // 5, (60, 2)):
            image[r : r + 3, c : c + 3] = 52_000
            image[r + 3, c : c + 4] = 5_000
    return image.clip(0, 65_535).astype(np.uint16)


def _heat(grains: bool, name: str) -> np.ndarray:
    draw = _seed(name)
    heat = np.full((112, 112), np.nan, dtype=np.float32)
    y, x = np.mgrid[:90, :90]
    inside = np.abs(draw.normal(0.05, 0.03, (90, 90)))
    if grains:
        for r, c in draw.integers(10, 80, (9, 2)):
            inside += 0.9 * np.exp(-((y - r) ** 2 + (x - c) ** 2) / 40)
    heat[11:101, 11:101] = inside
    for r in (11, 78):
        for c in (11, 78):
            heat[r : r + 23, c : c + 23] = np.nan
    return heat
