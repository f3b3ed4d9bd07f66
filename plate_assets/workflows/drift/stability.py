"""The stability study: tiles under every corruption, what a detector and an embedding make of them, and which alarms come.

Belongs here: from a stack of tiles and models to the study's tables and figures, in bounded memory. Not here: the corruptions
and the measures (`drift`), how a detector scores (`precipitation`).
"""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Annotated

import polars as pl

from plate_assets.drift.stability.tables import (
    ONLINE_AUC,
    OVER_SEEDS,
    OVER_UNITS,
    STABILITY,
    THESIS_CORRUPTION,
    thesis_rows,
)
from plate_assets.progress import Progress
from plate_assets.storage.arrays import Stack
from plate_assets.storage.models import ModelBundle

if TYPE_CHECKING:
    import numpy as np

    from plate_assets.drift.stability.alarms import OfflineTrial, OnlineTrial
    from plate_assets.drift.stability.quality import Measured

Condition = tuple[str, int]  # corruption and level
CLEAN: Condition = ("", 0)
BLOCK_BYTES = 24_000_000  # of a block's pixels in float32; corrupting it takes some five times as much
FEWEST_UNITS = 8
CALLED_SHARE = 0.01  # of the clean tiles, where a detector brings no threshold


class StudyError(ValueError):
    """Tiles or models that cannot be studied; the message says what lacks."""


@dataclass(frozen=True)
class StabilityConfig:
    """What is studied, and how much of it.

    unit: a table that lacks these columns has one unit a row. full_scale: as in `drift.corruptions.corrupt`. offline, online:
    trials of the drift tests, None for the defaults.
    """

    corruptions: Annotated[tuple[str, ...] | None, "What is done to the images; none: every corruption"] = None
    levels: Annotated[tuple[int, ...] | None, "How strongly; none: every level; level 0 always comes along"] = None
    unit: Annotated[tuple[str, ...], "Columns that name a unit, whose tiles are not independent"] = (
        "Metadata_Plate", "Metadata_Timepoint", "Metadata_Well",
    )  # fmt: skip
    tiles_per_unit: Annotated[int, "Tiles that are drawn of a unit"] = 2
    most_units: Annotated[int, "Units that are drawn at most"] = 192
    full_scale: Annotated[tuple[float, float] | None, "Black and white of the images; none: as their type says"] = None
    offline: "OfflineTrial | None" = None
    online: "OnlineTrial | None" = None
    online_corruptions: Annotated[tuple[str, ...], "Those whose streams the online test sees"] = (THESIS_CORRUPTION,)
    seed: Annotated[int, "Of everything random"] = 0


@dataclass(frozen=True)
class Scorer:
    """A detector: `score` takes tiles (n, h, w[, 3]) to scores (n,); a tile above `threshold` is called."""

    version: str
    score: "Callable[[np.ndarray], np.ndarray]"
    threshold: float | None = None


@dataclass(frozen=True)
class Embedder:
    """An embedding: `embed` takes tiles (n, h, w[, 3]) to vectors (n, d)."""

    version: str
    embed: "Callable[[np.ndarray], np.ndarray]"


@dataclass(frozen=True)
class StabilityStudy:
    """STABILITY and ONLINE_AUC; the latter is empty without an embedding. tiles, units: how many were studied."""

    stability: pl.DataFrame
    online_auc: pl.DataFrame
    tiles: int
    units: int


def scorer_of(bundle: ModelBundle, version: str) -> Scorer:
    """A stored detector, in its own precision, with the threshold that parts its calibration tiles best."""
    from plate_assets.precipitation.detector import Detector

    detector = Detector.from_parts(bundle.architecture, bundle.weights)
    precision = detector.architecture.get("precision", "float32")
    threshold = detector.architecture.get("thresholds", {}).get("tile_youden")
    return Scorer(version, lambda tiles: detector.score(tiles, precision=precision).scores, threshold)


def embedder_of(bundle: ModelBundle, version: str) -> Embedder:
    """A stored embedding."""
    from plate_assets.precipitation.embedding import EmbeddingModel

    return Embedder(version, EmbeddingModel.from_parts(bundle.architecture, bundle.weights).embed)


def stability_study(
    stack: Stack,
    config: StabilityConfig | None = None,
    *,
    detector: Scorer | None = None,
    embedding: Embedder | None = None,
    progress: Progress | None = None,
) -> StabilityStudy:
    """Study a detector, an embedding, or both, on the tiles or images of a stack.

    stack: rows with the unit's columns, and `anomalous` (boolean) for the AUC, where all are labelled; its array may be lazy.
    Memory holds one block of tiles under one corruption, and scores and vectors of all tiles under all of them.
    progress: called with blocks done and blocks in all, a block under each corruption and level counting as one.
    Raises StudyError where there is no model, or fewer than eight units.
    """
    if detector is None and embedding is None:
        raise StudyError("neither a detector nor an embedding was given: there is nothing to study")
    config = config or StabilityConfig()
    drawn = drawn_tiles(stack.table, config)
    conditions = conditions_of(config)
    seen = _measure(stack, drawn, conditions, config, detector, embedding, progress)
    rows: list[dict] = []
    if detector is not None:
        rows += _detector_rows(seen.scores, drawn, detector, config.seed)
    online = ONLINE_AUC.empty()
    if embedding is not None:
        units = {condition: _unit_means(vectors, drawn.unit) for condition, vectors in seen.vectors.items()}
        rows += _embedding_rows(units, embedding, config)
        online = _online_table(units, embedding, config)
    return StabilityStudy(_by_corruption(rows, conditions), online, len(drawn.rows), drawn.units)


@dataclass(frozen=True)
class DrawnTiles:
    """The tiles that are studied: their rows in the stack (n,), ascending, the unit (n,) of each, and labels where known."""

    rows: "np.ndarray"
    unit: "np.ndarray"
    anomalous: "np.ndarray | None"

    @property
    def units(self) -> int:
        return int(self.unit.max()) + 1


def drawn_tiles(table: pl.DataFrame, config: StabilityConfig) -> DrawnTiles:
    """Up to `most_units` units of the table and `tiles_per_unit` tiles of each, drawn by the seed."""
    import numpy as np

    rng = np.random.default_rng(config.seed)
    names = [name for name in config.unit if name in table.columns]
    every = table.select(pl.struct(names).rank("dense") - 1).to_series().to_numpy() if names else np.arange(table.height)
    units = np.unique(every)
    if len(units) < FEWEST_UNITS:
        raise StudyError(
            f"the tiles come from {len(units)} units ({', '.join(names) or 'rows'}), and a study needs {FEWEST_UNITS}: add "
            "wells, or name the columns that tell units apart (`unit`)"
        )
    kept = np.sort(rng.permutation(units)[: config.most_units])
    order = rng.permutation(table.height)
    order = order[np.argsort(every[order], kind="stable")]  # units together, their tiles in random order
    start = np.searchsorted(every[order], every[order])
    chosen = np.isin(every[order], kept) & (np.arange(len(order)) - start < config.tiles_per_unit)
    rows = np.sort(order[chosen])
    labels = table["anomalous"][rows] if "anomalous" in table.columns else pl.Series([None])
    known = None if labels.null_count() else labels.to_numpy().astype(bool)
    return DrawnTiles(rows, np.unique(every[rows], return_inverse=True)[1], known)


def conditions_of(config: StabilityConfig) -> list[Condition]:
    """Every corruption at every level but 0, in the order of the registry."""
    from plate_assets.drift.corruptions import STUDIED, levels_of

    return [
        (name, level)
        for name in (STUDIED if config.corruptions is None else config.corruptions)
        for level in levels_of(name)
        if level and (config.levels is None or level in config.levels)
    ]


@dataclass
class _Seen:
    """Scores (n,) and vectors (n, d) of the drawn tiles under each condition."""

    scores: "dict[Condition, np.ndarray]" = field(default_factory=dict)
    vectors: "dict[Condition, np.ndarray]" = field(default_factory=dict)


def _measure(
    stack: Stack,
    drawn: DrawnTiles,
    conditions: list[Condition],
    config: StabilityConfig,
    detector: Scorer | None,
    embedding: Embedder | None,
    progress: Progress | None,
) -> _Seen:
    import numpy as np

    parts: dict[Condition, list[tuple]] = {condition: [] for condition in (CLEAN, *conditions)}
    blocks = list(_blocks(stack, drawn.rows))
    for number, rows in enumerate(blocks):
        tiles = np.asarray(stack.array[rows])
        for at, (condition, kept) in enumerate(parts.items()):
            changed = _changed(tiles, condition, number, config)
            kept.append((detector and detector.score(changed), embedding and embedding.embed(changed)))
            if progress:
                progress(number * len(parts) + at + 1, len(blocks) * len(parts))
    seen = _Seen()
    for condition, kept in parts.items():
        if detector is not None:
            seen.scores[condition] = np.concatenate([scores for scores, _ in kept])
        if embedding is not None:
            seen.vectors[condition] = np.concatenate([vectors for _, vectors in kept])
    return seen


def _blocks(stack: Stack, rows: "np.ndarray") -> "Iterator[np.ndarray]":
    import numpy as np

    at_once = max(1, BLOCK_BYTES // (4 * int(np.prod(stack.array.shape[1:]))))
    for start in range(0, len(rows), at_once):
        yield rows[start : start + at_once]


def _changed(tiles: "np.ndarray", condition: Condition, block: int, config: StabilityConfig) -> "np.ndarray":
    """Tiles under a condition. The levels of a corruption share their noise and their dust: they differ by dose alone."""
    import numpy as np

    from plate_assets.drift.corruptions import corrupt

    name, level = condition
    if level == 0:
        return tiles
    rng = np.random.default_rng([config.seed, zlib.crc32(name.encode()), block])
    return corrupt(name, tiles, level, rng, config.full_scale)


def _unit_means(vectors: "np.ndarray", unit: "np.ndarray") -> "np.ndarray":
    from plate_assets.drift.stability.quality import unit_means

    return unit_means(vectors, unit)


def _detector_rows(scores: "dict[Condition, np.ndarray]", drawn: DrawnTiles, detector: Scorer, seed: int) -> list[dict]:
    import numpy as np

    from plate_assets.drift.stability.quality import detector_quality

    clean = scores[CLEAN]
    threshold = float(np.quantile(clean, 1 - CALLED_SHARE)) if detector.threshold is None else detector.threshold
    return [
        _row(condition, "detector", measured, OVER_UNITS, detector.version)
        for condition, corrupted in scores.items()
        for measured in detector_quality(clean, corrupted, drawn.unit, threshold, drawn.anomalous, seed)
    ]


def _embedding_rows(units: "dict[Condition, np.ndarray]", embedding: Embedder, config: StabilityConfig) -> list[dict]:
    from plate_assets.drift.stability.alarms import OfflineTrial, offline_alarms
    from plate_assets.drift.stability.quality import embedding_quality

    rows = []
    for condition, corrupted in units.items():
        for measured in embedding_quality(units[CLEAN], corrupted, config.seed):
            rows.append(_row(condition, "embedding", measured, OVER_UNITS, embedding.version))
        for measured in offline_alarms(units[CLEAN], corrupted, config.offline or OfflineTrial(), config.seed):
            rows.append(_row(condition, "drift_test", measured, OVER_SEEDS, embedding.version))
    return rows


def _row(condition: Condition, subject: str, measured: "Measured", interval: str, version: str) -> dict:
    about = {"corruption": condition[0], "level": condition[1], "subject": subject, "interval": interval}
    return about | {"model_version": version} | asdict(measured)


def _by_corruption(rows: list[dict], conditions: list[Condition]) -> pl.DataFrame:
    """STABILITY: the clean rows stand under every corruption, as its level 0."""
    from plate_assets.drift.corruptions import CORRUPTIONS

    names = list(dict.fromkeys(name for name, _ in conditions))
    spread = [row | {"corruption": name} for name in names for row in rows if row["corruption"] in (name, CLEAN[0])]
    parameters = [
        {"corruption": name, "level": level, "parameter": value}
        for name in names
        for level, value in CORRUPTIONS[name].levels.items()
    ]
    table = pl.DataFrame(spread, infer_schema_length=None)
    table = table.join(pl.DataFrame(parameters), on=["corruption", "level"], how="left", maintain_order="left")
    return STABILITY.conform(table.with_columns(pl.col("value", "low", "high").fill_nan(None)))


def _online_table(units: "dict[Condition, np.ndarray]", embedding: Embedder, config: StabilityConfig) -> pl.DataFrame:
    from plate_assets.drift.stability.alarms import OnlineTrial, online_alarms

    trial = config.online or OnlineTrial()
    tables = []
    for name in config.online_corruptions:
        drifted = {level: units[name, level] for level in trial.levels if (name, level) in units}
        if drifted:
            control = {0: units[CLEAN]} if 0 in trial.levels else {}
            found = online_alarms(units[CLEAN], control | drifted, trial, config.seed)
            tables.append(found.with_columns(corruption=pl.lit(name)))
    if not tables:
        return ONLINE_AUC.empty()
    table = pl.concat(tables).with_columns(
        pl.col("window", "ert", "level").cast(pl.Int32), model_version=pl.lit(embedding.version)
    )
    return ONLINE_AUC.conform(table.join(thesis_rows(), on=list(ONLINE_AUC.key), how="left"))


def study_figures(
    study: StabilityStudy, image: "np.ndarray", full_scale: tuple[float, float] | None = None
) -> dict[str, bytes]:
    """The figures of a study by name, as PNG. image: (h, w[, 3]), shown under every corruption that was studied."""
    from plate_assets.drift.stability import figures

    table, online = study.stability, study.online_auc
    about = f"{study.tiles} tiles of {study.units} units"
    drawn = {}
    for subject in ("detector", "embedding"):
        if subject in table["subject"]:
            version = table.filter(pl.col("subject") == subject)["model_version"][0]
            drawn[subject] = figures.quality_figure(table, subject, f"The {subject} {version} under corruption, {about}")
    if "drift_test" in table["subject"]:
        drawn["false_negatives"] = figures.false_negative_figure(
            table, f"Batches that the offline test of drift passes, {about}"
        )
    if online["thesis_auc"].drop_nulls().len():
        drawn["online_tables"] = figures.online_figure(online, "The online test: the thesis's tables, and the same here")
    for corruption in online["corruption"].unique(maintain_order=True):
        title = f"The online test under {corruption}: AUC of run lengths"
        drawn[f"online_{corruption}"] = figures.online_heatmap(online, corruption, title)
    names = list(table["corruption"].unique(maintain_order=True))
    drawn["corruptions"] = figures.contact_sheet(image, "One image under every corruption", names, full_scale)
    return drawn
