"""A time-lapse's folder without Dagster: what lies in it, its settings, and tracks that were made elsewhere.

Belongs here: from a folder to a table of its files, to the settings in force, to CELL_TRACKS where it holds tables. Not
here: roles of files (`plates.timelapses.folder`), measuring frames (`timelapse`), columns of tables (`dry_mass`).
"""

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import polars as pl
from upath import UPath

from plate_assets.dry_mass.tables import TIMELAPSE_FILES
from plate_assets.plates.layout import Well
from plate_assets.plates.listing import Listing, as_upath, list_folder
from plate_assets.plates.timelapses.folder import TRACKS, TimelapseError, TimelapseFiles, parse_settings, sort_files
from plate_assets.workflows.dry_mass.timelapse import TimelapseSettings

if TYPE_CHECKING:
    from plate_assets.dry_mass.track_tables import TrackTable
    from plate_assets.dry_mass.trackmate import TrackMateOptions

_NUMBER, _WHOLE, _TEXT = (float, int), (int,), (str,)
SETTING_TYPES: dict[str, tuple[type, ...]] = {
    "unit": _TEXT, "factor": _NUMBER, "pixel_um": _NUMBER, "wavelength_nm": _NUMBER, "alpha_um3_per_pg": _NUMBER,
    "n_medium": _NUMBER, "interval_min": _NUMBER, "background": _TEXT, "integrate": _TEXT, "identities": _TEXT,
    "pattern": _TEXT, "channel": _WHOLE, "well": _TEXT,
    "mass_from": _TEXT, "pg_per_unit": _NUMBER, "intensity_channel": _WHOLE, "um_per_px": _NUMBER,
}  # fmt: skip
MAX_TABLE_BYTES = 2_000_000_000


@dataclass(frozen=True)
class TimelapseFolder:
    """A time-lapse as it lies there: its listing, its files by role, the settings in force and the well, where one is told.

    trackmate: what TrackMate's files do not say of themselves, by the names of `TrackMateOptions`.
    """

    name: str
    listing: Listing
    files: TimelapseFiles
    settings: TimelapseSettings
    well: str | None = None
    trackmate: dict[str, Any] | None = None

    @property
    def has_frames(self) -> bool:
        return self.files.kind != TRACKS

    @property
    def frames_place(self) -> UPath:
        """The one file of the frames, or the folder that they lie in."""
        first = self.files.files[0]
        return self.listing.root / (first if len(self.files.files) == 1 else first.rpartition("/")[0])

    @property
    def outlines_place(self) -> UPath | None:
        """The ROI archive, or the folder of label images; None where cells are to be found."""
        return None if self.files.outlines is None else self.listing.root / self.files.outlines

    def table(self) -> pl.DataFrame:
        """TIMELAPSE_FILES: one row for each file that is used."""
        roles, sizes = self.files.roles(), self.listing.sizes
        if place := self.files.outlines:
            roles |= {path: "outlines" for path in sizes if path == place or path.startswith(place + "/")}
        rows = [(self.name, str(self.listing.root), role, path, sizes[path]) for path, role in sorted(roles.items())]
        return TIMELAPSE_FILES.conform(
            pl.DataFrame(rows, schema=[column.name for column in TIMELAPSE_FILES.columns], orient="row")
        )


def look_into(folder: UPath, defaults: TimelapseSettings | None = None, name: str | None = None) -> TimelapseFolder:
    """What a folder holds. defaults: settings that hold where `timelapse.json` in the folder says nothing else.

    Raises TimelapseError with the file and the remedy, ListingError where the folder cannot be listed.
    """
    listing = list_folder(as_upath(folder))
    files = sort_files(listing)
    written: dict[str, Any] = {}
    if files.settings_file:
        place = listing.path_of(files.settings_file)
        written = parse_settings(place.read_bytes(), str(place), SETTING_TYPES)
    well = Well.parse(written.pop("well")).name if "well" in written else None
    ours = {field.name for field in fields(TimelapseSettings)}
    settings = replace(defaults or TimelapseSettings(), **{key: value for key, value in written.items() if key in ours})
    rest = {"channel" if key == "intensity_channel" else key: value for key, value in written.items() if key not in ours}
    return TimelapseFolder(name or listing.root.name, listing, files, settings, well, rest)


def read_tracks(found: TimelapseFolder) -> "TrackTable":
    """CELL_TRACKS of a folder of tables: the plain CSV, or TrackMate's CSV or XML.

    Raises TrackTableError, TimelapseError or AcquisitionError with file, line and remedy.
    """
    from plate_assets.dry_mass.track_tables import TrackFile, read_track_table
    from plate_assets.dry_mass.trackmate import TrackMateXml, is_trackmate_csv, read_trackmate_csv
    from plate_assets.plates.readers.vendor_xml import walk

    root, paths = found.listing.root, found.files.files
    xml = [path for path in paths if path.lower().endswith(".xml")]
    if xml and len(paths) > 1:
        raise TimelapseError(
            f"{root} holds {xml[0]} and {len(paths) - 1} more tables: leave the XML, or the CSV, of one time-lapse"
        )
    if xml:
        target = TrackMateXml(xml[0], trackmate_options(found))
        walk(root / xml[0], target)
        return _in_well(target.tracks(), found.well)
    for path in paths:
        if found.listing.sizes[path] > MAX_TABLE_BYTES:
            raise TimelapseError(
                f"{root / path} has {found.listing.sizes[path]:,} bytes, {MAX_TABLE_BYTES:,} are read: split it"
            )
    tables = [TrackFile(path, (root / path).read_bytes()) for path in paths]
    if any(is_trackmate_csv(table) for table in tables):
        return _in_well(read_trackmate_csv(tables, trackmate_options(found)), found.well)
    if len(tables) > 1:
        raise TimelapseError(f"{root} holds {len(tables)} tables ({', '.join(paths[:3])}): give each time-lapse its own folder")
    return _in_well(read_track_table(tables[0], found.name), found.well)


def trackmate_options(found: TimelapseFolder) -> "TrackMateOptions":
    """What TrackMate's files do not say: from `timelapse.json` and the settings."""
    from plate_assets.dry_mass.trackmate import TrackMateOptions

    return TrackMateOptions(found.name, interval_min=found.settings.interval_min, **(found.trackmate or {}))


def _in_well(read: "TrackTable", well: str | None) -> "TrackTable":
    """The tracks in the well that is told, where the table names none."""
    return read if well is None else replace(read, tracks=read.tracks.with_columns(pl.col("Metadata_Well").fill_null(well)))
