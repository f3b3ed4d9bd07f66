"""Figures of the stability study, each as the bytes of a PNG.

Belongs here: drawing STABILITY, ONLINE_AUC, and one image under every corruption. Not here: computing them.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from plate_assets.drift.corruptions import CORRUPTIONS, STUDIED, corrupt, levels_of
from plate_assets.drift.stability.tables import MEASURES, THESIS_AUC
from plate_assets.pages.canvas import INK, QUIET, new_figure, png

_COLOURS = ("#3367a8", "#cc5500", "#2e8b57", "#8b3a8b", "#b8860b", "#555555", "#c2185b", "#00838f", "#7cb342", "#795548")
_SEEDS = "band: smallest to largest of the seeds"
_UNITS = "bars: 95 % over units"
_BETTER = {
    "auc": "0.5 is chance, 1 is perfect", "score_shift": "0 is unchanged", "rank_correlation": "1 is unchanged",
    "calls_lost": "0 is unchanged", "calls_gained": "0 is unchanged", "movement": "0 is unchanged",
    "common_shift": "0 is unchanged", "neighbours_kept": "1 is unchanged",
}  # fmt: skip


def quality_figure(stability: pl.DataFrame, subject: str, title: str) -> bytes:
    """Each measure of a subject (`detector`, `embedding`) against the level: a panel a measure, a line a corruption."""
    table = stability.filter(pl.col("subject") == subject)
    measures = [name for name in MEASURES if name in set(table["measure"])]
    columns = min(3, len(measures))
    rows = -(-len(measures) // columns)
    figure = new_figure(4.6 * columns + 2, 3.6 * rows + 0.6)
    panels = figure.subplots(rows, columns, squeeze=False)
    for panel in panels.flat[len(measures) :]:
        panel.set_axis_off()
    for panel, measure in zip(panels.flat, measures, strict=False):
        _lines(panel, table.filter(pl.col("measure") == measure))
        panel.set_title(f"{measure.replace('_', ' ')} ({_BETTER[measure]})", fontsize=10)
        panel.set_ylabel(_wrapped(MEASURES[measure]), fontsize=8)
    handles, labels = panels.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", fontsize=8, title="corruption")
    figure.suptitle(f"{title}\n{_UNITS}; levels below 0 change the image the other way", fontsize=11)
    return png(figure)


def false_negative_figure(stability: pl.DataFrame, title: str) -> bytes:
    """False-negative rate of the offline drift test against the level, a line a corruption (the thesis's Figure 53)."""
    table = stability.filter(pl.col("measure") == "false_negative_rate")
    names = list(dict.fromkeys(table["corruption"]))
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    figure = new_figure(3.6 * columns + 0.6, 2.5 * rows + 0.9)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for panel in panels.flat[len(names) :]:
        panel.set_axis_off()
    for number, (panel, name) in enumerate(zip(panels.flat, names, strict=False)):
        rows_of = table.filter(pl.col("corruption") == name).sort("level")
        level, value, low, high = (rows_of[column].to_numpy() for column in ("level", "value", "low", "high"))
        colour = _COLOURS[number % len(_COLOURS)]
        panel.fill_between(level, low, high, color=colour, alpha=0.2, linewidth=0)
        panel.plot(level, value, ".-", color=colour, label=_title(name))
        panel.axhline(0.95, color=QUIET, linestyle=":", linewidth=1)
        panel.set_title(_title(name), fontsize=10)
        panel.set_ylim(-0.03, 1.03)
    figure.supxlabel("level of the corruption (0: clean images)", fontsize=10)
    figure.supylabel("share of batches without alarm", fontsize=10)
    what = "dotted: 0.95, what clean batches should have at α = 0.05"
    figure.suptitle(f"{title}\n{_SEEDS}; {what}", fontsize=11)
    return png(figure)


def online_figure(online: pl.DataFrame, title: str) -> bytes:
    """The thesis's Tables 6, 7 and 8, its AUC beside ours with the spread over the seeds."""
    figure = new_figure(13, 4.4)
    panels = figure.subplots(1, 3, sharey=True)
    axes_of = {
        "Table 6": ("window", "window W, units"),
        "Table 7": ("ert", "ERT asked for, units"),
        "Table 8": ("level", "level"),
    }
    for panel, (name, (column, label)) in zip(panels, axes_of.items(), strict=True):
        rows = online.filter(pl.col("thesis_table").str.contains(name)).sort(column)
        at = np.arange(rows.height)
        ours, low, high, thesis = (rows[c].to_numpy() for c in ("auc", "low", "high", "thesis_auc"))
        panel.plot(at, thesis, "s--", color=_COLOURS[1], label="thesis")
        panel.errorbar(at, ours, [ours - low, high - ours], fmt="o-", color=_COLOURS[0], capsize=3, label="here")
        for x, value in zip(at, ours, strict=True):
            panel.annotate(f"{value:.2f}", (x, value), xytext=(6, -4), textcoords="offset points", fontsize=8)
        panel.set_xticks(at, [str(value) for value in rows[column]])
        panel.set_xlabel(label)
        panel.set_title(f"{name}: {_others(name)}", fontsize=10)
        panel.axhline(0.5, color=QUIET, linestyle=":", linewidth=1)
    panels[0].set_ylabel("AUC of run lengths, drifted against clean")
    panels[0].set_ylim(min(0.4, online["low"].min() - 0.05), 1.03)  # pyright: ignore[reportOperatorIssue]
    panels[0].legend(loc="lower right", fontsize=9)
    figure.suptitle(f"{title}\nbars: smallest to largest of the seeds; dotted: chance", fontsize=11)
    return png(figure)


def online_heatmap(online: pl.DataFrame, corruption: str, title: str) -> bytes:
    """AUC of every window and ERT, a panel a level; the thesis's AUC in brackets where it gives one."""
    table = online.filter(pl.col("corruption") == corruption)
    levels = sorted(table["level"].unique())
    windows, erts = sorted(table["window"].unique()), sorted(table["ert"].unique())
    figure = new_figure(3.1 * len(levels) + 1.4, 4.0)
    panels = figure.subplots(1, len(levels), squeeze=False, sharey=True)[0]
    shown = None
    for panel, level in zip(panels, levels, strict=True):
        cells = {(row["window"], row["ert"]): row for row in table.filter(pl.col("level") == level).iter_rows(named=True)}
        values = np.array([[cells[w, e]["auc"] if (w, e) in cells else np.nan for e in erts] for w in windows])
        shown = panel.imshow(values, vmin=0.5, vmax=1, cmap="Blues", aspect="auto")
        for (r, w), (c, e) in ((a, b) for a in enumerate(windows) for b in enumerate(erts) if (a[1], b[1]) in cells):
            thesis = cells[w, e]["thesis_auc"]
            text = f"{values[r, c]:.2f}" + (f"\n({thesis:.2f})" if thesis is not None else "")
            panel.text(c, r, text, ha="center", va="center", fontsize=8, color="white" if values[r, c] > 0.8 else INK)
        panel.set_xticks(range(len(erts)), [str(ert) for ert in erts])
        panel.set_yticks(range(len(windows)), [str(window) for window in windows])
        panel.set_xlabel("ERT asked for, units")
        panel.set_title(f"level {level}" + (" (clean: control)" if level == 0 else ""), fontsize=10)
    panels[0].set_ylabel("window W, units")
    figure.colorbar(shown, ax=list(panels), label="AUC of run lengths")  # pyright: ignore[reportArgumentType]
    figure.suptitle(f"{title}\n(in brackets: thesis)", fontsize=11)
    return png(figure)


def contact_sheet(
    image: np.ndarray,
    title: str,
    names: Sequence[str] = STUDIED,
    full_scale: tuple[float, float] | None = None,
    seed: int = 0,
) -> bytes:
    """One image (h, w) or (h, w, 3) under every corruption and level, a row a corruption, one that goes both ways two rows.

    All are drawn from black to white of the full scale, as the camera would give them.
    """
    rows = [(name, side) for name in names for side in (1, -1) if any(side * level > 0 for level in levels_of(name))]
    most = max(len(_of_side(*row)) for row in rows)
    black, white = full_scale or ((0, np.iinfo(image.dtype).max) if image.dtype.kind in "ui" else (0, 1))
    gap = max(1, image.shape[1] // 16)
    step, wide = image.shape[1] + gap, most * (image.shape[1] + gap) - gap
    figure = new_figure(1.5 * most + 1.5, 1.62 * len(rows) * image.shape[0] / image.shape[1] + 0.8)
    panels = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
    for panel, (name, side) in zip(panels, rows, strict=True):
        strip = np.full((image.shape[0], wide, *image.shape[2:]), 0.85, np.float32)  # one picture a row: quicker to lay out
        for number, level in enumerate(_of_side(name, side)):
            shown = (corrupt(name, image, level, seed, full_scale).astype(np.float32) - black) / (white - black)
            strip[:, number * step : number * step + image.shape[1]] = shown.clip(0, 1)
            text = f"level {level}: {CORRUPTIONS[name].levels[level]:g}" if level else "clean"
            panel.text(number * step, -gap / 3, text, fontsize=8)
        panel.imshow(strip, cmap="gray", vmin=0, vmax=1)
        panel.set_xticks([])
        panel.set_yticks([])
        panel.set_frame_on(False)
        panel.set_ylabel(f"{CORRUPTIONS[name].title}\n{_wrapped(CORRUPTIONS[name].parameter, 22)}", fontsize=7.5)
    figure.suptitle(f"{title}\nabove each: level and the corruption's parameter, whose unit is at the left", fontsize=11)
    return png(figure)


def _of_side(name: str, side: int) -> list[int]:
    """Level 0 and the levels of one sign, the weakest first."""
    return sorted((level for level in levels_of(name) if level * side >= 0), key=abs)


def _lines(panel, table: pl.DataFrame) -> None:
    """One measure against the level, a line a corruption, in the order of the table."""
    names = list(dict.fromkeys(table["corruption"]))
    for number, name in enumerate(names):
        rows = table.filter(pl.col("corruption") == name).sort("level").drop_nulls("value")
        level, value, low, high = (rows[column].to_numpy().astype(float) for column in ("level", "value", "low", "high"))
        aside = (number - (len(names) - 1) / 2) * 0.05  # so that the bars of two corruptions are told apart
        reach = [np.maximum(value - low, 0), np.maximum(high - value, 0)]
        panel.errorbar(
            level + aside, value, reach, color=_COLOURS[number % len(_COLOURS)], marker=".", linewidth=1.2, elinewidth=0.6,
            label=_title(name),
        )  # fmt: skip
    panel.set_xlabel("level", fontsize=8)


def _others(table: str) -> str:
    """What the thesis's table holds fixed, as it is taken here."""
    keys = list(THESIS_AUC[table])
    names = ("W", "ERT", "level")
    return ", ".join(f"{name} {keys[0][at]}" for at, name in enumerate(names) if len({key[at] for key in keys}) == 1)


def _title(name: str) -> str:
    return CORRUPTIONS[name].title if name in CORRUPTIONS else name


def _wrapped(text: str, width: int = 42) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, width))
