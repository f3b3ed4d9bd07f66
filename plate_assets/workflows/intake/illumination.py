"""How evenly each channel of an acquisition is lit: profiles, the light before and after them, and which one is used.

Belongs here: which images an estimate takes, the table, the choice by setting. Not here: the arithmetic
(`plates.illumination`), drawing (`plates.illumination_figure`).
"""

from typing import Literal

import polars as pl

from plate_assets.plates.acquisition import Acquisition
from plate_assets.plates.fields import Fields, View, chosen_channel, is_label_free, map_fields
from plate_assets.plates.illumination import Profile
from plate_assets.plates.tables import ILLUMINATION
from plate_assets.progress import Progress


class NoProfile(ValueError):
    """A profile that is asked for and not there; the message names the channel and the remedy."""


def lit_fields(acquisition: Acquisition, view: View | None = None, light: pl.DataFrame | None = None) -> Fields:
    """The fields under a view, their light corrected as it asks.

    light: the ILLUMINATION table; it is measured where a correction is asked for and none is given. Raises FieldError and
    NoProfile.
    """
    view = view or View()
    if view.illumination == "none":
        return Fields.of(acquisition, view)
    channel = chosen_channel(acquisition, view.channel)
    table = measure_illumination(acquisition, [channel]) if light is None else light
    return Fields.of(acquisition, view, profile_of(table, channel, view.illumination))


def measure_illumination(
    acquisition: Acquisition, channels: list[str] | None = None, progress: Progress | None = None
) -> pl.DataFrame:
    """The ILLUMINATION table: for each channel the vendor's profile and the one estimated from the plate, where there are such.

    At most `MOST` images of a channel are read, spread over the plate. Light before: the median over them of each one's
    block means; after: the same over the profile.
    """
    import numpy as np

    from plate_assets.plates.illumination import MOST, block_means, estimated_profile, falloff, smooth_light, vendor_profile

    channels = channels or acquisition.images["Metadata_Channel"].unique().sort().to_list()
    rows = []
    for done, channel in enumerate(channels, start=1):
        fields = Fields.of(acquisition, View(channel)).sampled(MOST)
        grids = [found for _, found in map_fields(fields, block_means) if not isinstance(found, Exception)]
        levels = np.array([grid / grid.mean() for grid in grids if grid.mean() > 0])
        if not len(levels):
            continue
        light = fields.rows["excitation_nm"].count() > 0 and not is_label_free(channel)
        profiles = (
            vendor_profile(acquisition.metadata.get(f"FlatfieldProfile {channel}", ""), fluorescence=light),
            estimated_profile(levels),
        )
        before = np.median(levels, axis=0)
        for profile in filter(None, profiles):
            rows.append({
                "Metadata_Plate": acquisition.plate, "Metadata_Timepoint": acquisition.timepoint,
                "Metadata_Channel": channel, "source": profile.source, "n_images": len(levels),
                "falloff_before": falloff(smooth_light(before)),
                "falloff_after": falloff(smooth_light(before / profile.grid)),
                "before": before.ravel().tolist(), "profile": profile.grid.ravel().tolist(),
            })  # fmt: skip
        if progress:
            progress(done, len(channels))
    return ILLUMINATION.conform(pl.DataFrame(rows)) if rows else ILLUMINATION.empty()


def profile_of(table: pl.DataFrame, channel: str, correction: Literal["vendor", "estimated", "auto"]) -> Profile | None:
    """The profile by which a channel is corrected; `auto` takes the vendor's, else the estimated one, else none.

    Raises NoProfile where one is asked for by its source and not there.
    """
    import numpy as np

    from plate_assets.plates.illumination import GRID

    wanted = ("vendor", "estimated") if correction == "auto" else (correction,)
    for source in wanted:
        found = table.filter((pl.col("Metadata_Channel") == channel) & (pl.col("source") == source))
        if found.height:
            return Profile(np.array(found["profile"][0]).reshape(GRID, GRID), source)
    if correction == "auto":
        return None
    raise NoProfile(
        f"channel {channel!r} has no {correction} illumination profile: "
        + ("the export carries none" if correction == "vendor" else "too few images to estimate one")
        + "; set the illumination to `auto` or `none`"
    )
