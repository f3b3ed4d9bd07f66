"""The page: tables and pictures put into the template, with everything escaped and nothing fetched.

Belongs here: what the page says and in which order. Not here: skeleton and looks (`pages`), behaviour (`report.js`).
"""

import base64
from collections import Counter
from collections.abc import Mapping
from typing import Any

import polars as pl

from plate_assets.pages.document import json_block, number, one_value, render_page, when
from plate_assets.plates.tables import IMAGE_QUALITY
from plate_assets.precipitation.report import charts
from plate_assets.precipitation.report.inputs import ReportInputs
from plate_assets.precipitation.report.pictures import PicturePlan, encode_wells, heat_palette, plan_pictures
from plate_assets.precipitation.report.plate import STATES, PlateDrawing, draw_plate
from plate_assets.precipitation.tables import GROWTH, LAYOUT_EFFECTS, PATCH_SCORES, QUADRUPLET_CALLS, WELL_SCORES

PACKAGE = "plate_assets.precipitation.report"
NEXT_BELOW = 4  # conditions shown below the called ones, so that a reader sees what just escaped
SHOWN_WITHOUT_CALLS = 12


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and value - value != 0 else value


def well_facts(inputs: ReportInputs) -> dict[str, dict[str, Any]]:
    """What the panel says of each well."""
    growth: dict[str, dict] = {}
    if inputs.growth is not None:
        growth = {row["Metadata_Well"]: row for row in inputs.growth.iter_rows(named=True)}
    facts = {}
    for row in inputs.wells.iter_rows(named=True):
        grown = growth.get(row["Metadata_Well"], {})
        kept = (
            "condition",
            "role",
            "n_sites",
            "n_tiles",
            "score",
            "tile_max",
            "local_std",
            "in_domain",
            "excluded",
            "flagged",
            "reasons",
        )
        facts[row["Metadata_Well"]] = {
            "group": row["Metadata_Quadruplet"],
            **{name: _finite(row[name]) for name in kept},
            **{name: _finite(grown.get(name)) for name in ("confluence", "cell_density_mm2")},
        }
    return facts


def group_facts(inputs: ReportInputs) -> dict[str, dict[str, object]]:
    """What the panel says of each replicate group, with its wells in reading order."""
    members: dict[str, list[str]] = {}
    for group, well in (
        inputs.wells.sort("Metadata_Row", "Metadata_Col").select("Metadata_Quadruplet", "Metadata_Well").iter_rows()
    ):
        members.setdefault(group, []).append(well)
    names = ("call", "score", "normalised_score", "anomaly_score", "threshold", "reasons")
    calls = {
        row["Metadata_Quadruplet"]: {name: _finite(row[name]) for name in names} for row in inputs.calls.iter_rows(named=True)
    }
    return {group: {"wells": wells, **calls.get(group, {})} for group, wells in members.items()}


def counts(inputs: ReportInputs) -> dict[str, object]:
    """How many conditions were called, were clear, and were not called and why; how many wells count."""
    calls = inputs.calls["call"]
    without = inputs.calls.filter(pl.col("call").is_null())
    reasons = Counter(reason or "no reason given" for reason in without["reasons"].to_list())
    return {
        "conditions": inputs.calls.height,
        "called": int(calls.fill_null(False).sum()),
        "n_clear": int((~calls.fill_null(True)).sum()),
        "without": without.height,
        "reasons": reasons.most_common(),
        "wells": inputs.wells.height,
        "scored": inputs.wells["score"].drop_nulls().len(),
        "flagged": int(inputs.wells["flagged"].sum()),
        "excluded": int(inputs.wells["excluded"].sum()),
        "outside": int((~inputs.wells["in_domain"]).sum()),
        "tiles": inputs.tiles.height,
    }


def shown_first(inputs: ReportInputs) -> list[dict]:
    """The suspicious conditions, ranked, with the few below them; without any call the highest scores."""
    ranked = inputs.ranked_calls()
    called = int(inputs.calls["call"].fill_null(False).sum())
    show = called + NEXT_BELOW if inputs.calls["call"].drop_nulls().len() else SHOWN_WITHOUT_CALLS
    rows = ranked.head(show).iter_rows(named=True)
    return [{**row, "rank": i, "members": inputs.wells_of(row["Metadata_Quadruplet"])} for i, row in enumerate(rows, 1)]


def drawings(inputs: ReportInputs, facts: Mapping[str, Mapping]) -> list[PlateDrawing]:
    """The plate by score, and by growth where it was measured."""

    def values(name: str) -> dict[str, float | None]:
        return {well: fact[name] for well, fact in facts.items()}

    found = [
        draw_plate(inputs, values("score"), key="score", title="Precipitation score", measure="score", unit="arbitrary units")
    ]
    for name, title, unit in (
        ("confluence", "Growth: confluence", "share of the culture area"),
        ("cell_density_mm2", "Growth: cell density", "cells/mm²"),
    ):
        if any(v is not None for v in values(name).values()):
            measure = "confluence" if name == "confluence" else "cell density"
            found.append(draw_plate(inputs, values(name), key=name, title=title, measure=measure, unit=unit, palette="cividis"))
    return found


def flagged_rows(inputs: ReportInputs) -> list[dict]:
    """Every well or image with a reason, images where their quality was measured; wells whose reasons no image names follow."""
    rows = []
    named: set[str] = set()
    if inputs.quality is not None:
        for row in inputs.quality.filter(pl.col("flagged")).sort("Metadata_Row", "Metadata_Col").iter_rows(named=True):
            named.add(row["Metadata_Well"])
            rows.append(
                {**row, "what": f"site {row['Metadata_Site']}, {row['Metadata_Channel']}, plane {row['Metadata_Plane']}"}
            )
    columns = ("focus", "saturated_share", "illumination_falloff", "mean_intensity")
    for row in inputs.wells.filter(pl.col("reasons") != "").sort("Metadata_Row", "Metadata_Col").iter_rows(named=True):
        if row["Metadata_Well"] not in named:
            rows.append({**row, "what": "well", **dict.fromkeys(columns)})
    return rows


def heat_legend() -> list[tuple[float, str, float]]:
    """Offset, colour and opacity of the map's colours."""
    colours, opacity = heat_palette()
    levels = [1 + round(i / 16 * 254) for i in range(17)]
    return [(i / 16, "#{:02x}{:02x}{:02x}".format(*colours[k]), round(opacity[k] / 255, 3)) for i, k in enumerate(levels)]


def render_report(inputs: ReportInputs) -> str:
    """The page of one plate: HTML that needs no other file and no network, and runs nothing that a name brings along.

    Pictures are asked for a few wells at a time; the page stays near `inputs.budget_bytes`, whatever the plate's format.
    """
    facts, groups, first = well_facts(inputs), group_facts(inputs), shown_first(inputs)
    plates = drawings(inputs, facts)
    detailed = {well for row in first for well in row["members"]}
    wells = list(facts)
    plan = plan_pictures(wells, len(detailed), inputs.well_picture, inputs.picture_scale, inputs.budget_bytes)
    profiles = [
        charts.layout_profiles(inputs, plate.key, {well: fact[plate.key] for well, fact in facts.items()}) for plate in plates
    ]
    pictures = (
        (well, json_block(found))
        for well, found in encode_wells(wells, detailed, plan, inputs.well_picture, inputs.well_heat, inputs.heat_scale)
    )
    return render_page(
        PACKAGE,
        "report.html",
        "report.js",
        inputs=inputs,
        counts=counts(inputs),
        first=first,
        ranked=list(inputs.ranked_calls().iter_rows(named=True)),
        plates=plates,
        states=STATES,
        scatter=charts.growth_scatter(inputs),
        profiles=[profile for profile in profiles if profile],
        effects=list(inputs.effects.iter_rows(named=True)) if inputs.effects is not None else [],
        flagged=flagged_rows(inputs),
        measured=inputs.quality.height if inputs.quality is not None else None,
        header=header(inputs, plan),
        heat_legend=heat_legend(),
        schemas=[QUADRUPLET_CALLS, WELL_SCORES, PATCH_SCORES, GROWTH, IMAGE_QUALITY, LAYOUT_EFFECTS],
        downloads=downloads(inputs),
        facts=json_block({"wells": facts, "groups": groups}),
        pictures=pictures,
    )


def header(inputs: ReportInputs, plan: PicturePlan) -> list[tuple[str, str]]:
    """The facts at the page's head, as pairs of name and value."""
    pairs = [
        ("Acquisition", inputs.acquisition_id),
        ("Plate format", f"{inputs.plate_format.wells} wells"),
        ("Model", one_value(inputs.wells, "model_version")),
        ("Threshold", f"anomaly score {one_value(inputs.calls, 'threshold')}"),
        ("Reference, fingerprint", one_value(inputs.calls, "reference")),
        *((str(name), number(value)) for name, value in inputs.model.items()),
        ("Report made", when(inputs.made_at)),
        ("Pictures", f"one grey scale for the plate: {number(plan.scale[0])} black, {number(plan.scale[1])} white"),
    ]
    return pairs


def downloads(inputs: ReportInputs) -> list[tuple[str, str]]:
    """The small tables as files inside the page; the tiles' table lies beside it."""
    tables = {"quadruplets.csv": inputs.calls, "wells.csv": inputs.wells}
    return [
        (name, "data:text/csv;charset=utf-8;base64," + base64.b64encode(table.write_csv().encode()).decode("ascii"))
        for name, table in tables.items()
    ]
