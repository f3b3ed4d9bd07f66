"""Scoring an acquisition, from its images to a call on each condition, without Dagster.

Belongs here: the steps of the nightly job in their order; the assets call them one by one, the command all at once, so that
their numbers cannot differ. Not here: what a step computes (`precipitation`), how a report is put together (`report`).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
from upath import UPath

from plate_assets import __version__
from plate_assets.plates.acquisition import Acquisition
from plate_assets.plates.fields import Fields, View
from plate_assets.plates.readers import ReadOptions
from plate_assets.plates.tables import EXCLUSIONS
from plate_assets.precipitation.tables import PATCH_SCORES
from plate_assets.progress import Progress, ProgressOf
from plate_assets.storage.arrays import Stack, read_stack, write_stack
from plate_assets.storage.models import ModelBundle
from plate_assets.storage.tables import Provenance
from plate_assets.workflows.intake.illumination import lit_fields
from plate_assets.workflows.intake.ingest import ingest, measure_quality
from plate_assets.workflows.intake.plate_maps import plate_map_for

if TYPE_CHECKING:
    import numpy as np

    from plate_assets.precipitation.detector import Detector

Blocks = Iterable[tuple[pl.DataFrame, "np.ndarray"]]
TILES_AT_ONCE = 192  # sixteen wells: large enough to feed two cores, small enough to hold 300 MB of float32 at 299²


@dataclass(frozen=True)
class CallSettings:
    """How scores become calls: λ of eq. 12, and the isolation forest's form."""

    contamination: float = 0.01
    method: str = "one_sided"


@dataclass(frozen=True)
class ScoredPlate:
    """All the tables of one scored acquisition; `maps` are the detector's maps in the order of `tiles`."""

    fields: Fields
    fingerprint: str
    platemap: pl.DataFrame
    quality: pl.DataFrame
    tiles: pl.DataFrame
    maps: Stack
    growth: pl.DataFrame
    wells: pl.DataFrame
    quadruplets: pl.DataFrame
    effects: pl.DataFrame
    model: dict[str, str] = field(default_factory=dict)

    @property
    def acquisition(self) -> Acquisition:
        """The acquisition that was scored."""
        return self.fields.acquisition


def blocks_of(stack: Stack, rows: int = TILES_AT_ONCE) -> Iterator[tuple[pl.DataFrame, "np.ndarray"]]:
    """The stack again as blocks, read one at a time."""
    for start in range(0, stack.table.height, rows):
        yield stack.table[start : start + rows], stack.array[start : start + rows]


def _gathered(blocks: Blocks) -> Iterator[tuple[pl.DataFrame, "np.ndarray"]]:
    """Small blocks (a well each) put together until there is enough for the arithmetic; blocks of another shape apart."""
    import numpy as np

    tables: list[pl.DataFrame] = []
    arrays: list[np.ndarray] = []
    for table, array in blocks:
        if arrays and (array.shape[1:] != arrays[0].shape[1:] or array.dtype != arrays[0].dtype):
            yield pl.concat(tables), np.concatenate(arrays)
            tables, arrays = [], []
        tables.append(table)
        arrays.append(array)
        if sum(map(len, arrays)) >= TILES_AT_ONCE:
            yield pl.concat(tables), np.concatenate(arrays)
            tables, arrays = [], []
    if arrays:
        yield pl.concat(tables), np.concatenate(arrays)


def score_blocks(
    blocks: Blocks, detector: "Detector", model_version: str, progress: Progress | None = None, total: int = 0
) -> Iterator[tuple[pl.DataFrame, "np.ndarray"]]:
    """Score blocks of tiles; gives PATCH_SCORES rows with the detector's maps (n, u, v) float16, in the same order.

    The precision is the detector's own: the one its reference scores were computed in.
    """
    precision = detector.architecture.get("precision", "float32")
    names = [column.name for column in PATCH_SCORES.columns]
    done = 0
    for table, tiles in _gathered(blocks):
        scored = detector.score(tiles, precision=precision)
        rows = table.with_columns(score=pl.Series(scored.scores), model_version=pl.lit(model_version))
        done += table.height
        if progress:
            progress(done, max(total, done))
        yield rows.select(names), scored.maps


def model_facts(bundle: ModelBundle, model_version: str) -> dict[str, str]:
    """What a page says of the model that scored."""
    architecture, reference = bundle.architecture, reference_of(bundle)
    return {
        "model": model_version,
        "backbone": str(architecture.get("backbone", "")),
        "precision": str(architecture.get("precision", "float32")),
        "reference": "none" if reference is None else ", ".join(sorted(reference["Metadata_Plate"].unique())),
    }


def has_reference(bundle: ModelBundle) -> bool:
    """Whether the model carries scores of reference plates."""
    return bundle.tables.get("reference_scores", pl.DataFrame()).height > 0


def reference_of(bundle: ModelBundle) -> pl.DataFrame | None:
    """The reference scores that a model carries, None where it has none."""
    return bundle.tables["reference_scores"] if has_reference(bundle) else None


def score_folder(
    folder: str | UPath,
    work: Path,
    bundle: ModelBundle,
    model_version: str,
    *,
    options: ReadOptions | None = None,
    platemaps: str | None = None,
    view: View | None = None,
    references: Sequence[str | UPath] = (),
    exclusions: pl.DataFrame | None = None,
    calling: CallSettings | None = None,
    progress: ProgressOf | None = None,
) -> ScoredPlate:
    """Score one folder with one model: the whole nightly job in this process.

    work: folder for the detector's maps while the report is made; the caller removes it.
    references: folders of further plates, scored first with the same model, whose conditions serve as reference.
    progress: gives a progress callback for a named step.
    """
    from plate_assets.precipitation.detector import Detector
    from plate_assets.precipitation.quadruplets import call_quadruplets
    from plate_assets.workflows.precipitation.calls import reference_scores, score_wells
    from plate_assets.workflows.precipitation.growth import growth_table
    from plate_assets.workflows.precipitation.patches import Areas, cut_patches

    calling = calling or CallSettings()
    options = options or ReadOptions()
    detector = Detector.from_parts(bundle.architecture, bundle.weights)
    exclusions = EXCLUSIONS.empty() if exclusions is None else exclusions
    step = progress or (lambda name: lambda done, total: None)

    reference = reference_of(bundle)
    if references:
        elsewhere = replace(options, timepoint=None, plate=None)
        scored = [
            score_folder(
                place, work / f"reference_{number}", bundle, model_version, options=elsewhere,
                platemaps=platemaps, view=view, calling=calling, progress=progress,
            ).wells
            for number, place in enumerate(references)
        ]  # fmt: skip
        reference = reference_scores(scored)

    known = ingest(folder, options)
    acquisition = known.acquisition
    platemap = plate_map_for(acquisition, platemaps)
    quality = measure_quality(acquisition, progress=step("quality"))
    fields = lit_fields(acquisition, view)
    areas: Areas = {}
    blocks = cut_patches(fields, platemap, areas=areas)
    target = UPath(work / "maps")
    made_of = Provenance(
        inputs={"acquisition": known.fingerprint}, code_version=__version__, model_version=model_version, run_id=None
    )
    n_tiles = acquisition.images.height * 12
    write_stack(target, score_blocks(blocks, detector, model_version, step("score"), n_tiles), PATCH_SCORES, made_of)
    maps = read_stack(target, PATCH_SCORES)
    wells = score_wells(maps.table, platemap, quality, exclusions)
    growth = growth_table(fields, platemap, progress=step("growth"), areas=areas)
    calls = call_quadruplets(wells, reference, contamination=calling.contamination, method=calling.method)
    return ScoredPlate(
        fields, known.fingerprint, platemap, quality, maps.table, maps, growth, wells, calls,
        layout_effects_of(wells, growth), model_facts(bundle, model_version),
    )  # fmt: skip


def layout_effects_of(wells: pl.DataFrame, growth: pl.DataFrame, seed: int = 0) -> pl.DataFrame:
    """Edge, row and column effects of score, growth and the trivial baseline, over one plate."""
    from plate_assets.precipitation.layout_effects import layout_effects

    joined = wells.join(growth.select("Metadata_Well", "confluence"), on="Metadata_Well", how="left")
    return pl.concat([layout_effects(joined, measure, seed) for measure in ("score", "confluence", "local_std")])
