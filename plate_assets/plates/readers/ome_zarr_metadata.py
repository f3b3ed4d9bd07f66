"""The metadata documents of an OME-Zarr store, 0.4 on Zarr 2 and 0.5 on Zarr 3: what they say of plate, wells, axes, channels.

Belongs here: finding, reading and checking these documents; they are foreign text. Not here: which images come of them
(`ome_zarr`), what one array's document means (`zarr_pixels`).
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from plate_assets.plates.acquisition import AcquisitionError
from plate_assets.plates.layout import FORMATS, LayoutError, Well
from plate_assets.plates.listing import Listing, local_path
from plate_assets.plates.readers.reader import read_start
from plate_assets.plates.zarr_pixels import (
    ARRAY_DOCUMENTS,
    MAX_DOCUMENT_BYTES,
    OWN,
    ZarrArray,
    ZarrDocumentError,
    array_of,
    json_object,
)

GROUP_DOCUMENTS = ("zarr.json", ".zattrs", ".zgroup")

_VERSIONS = ("0.4", "0.5")
_KEYS_OF_OME = (b'"ome"', b'"plate"', b'"multiscales"', b'"well"', b'"bioformats2raw.layout"')
_UM = {
    "meter": 1e6, "centimeter": 1e4, "millimeter": 1e3, "micrometer": 1.0, "nanometer": 1e-3, "angstrom": 1e-4,
    "picometer": 1e-6, "m": 1e6, "mm": 1e3, "um": 1.0, "µm": 1.0, "μm": 1.0, "micron": 1.0, "nm": 1e-3,
}  # fmt: skip
# Each part of a path begins with a letter, digit or `_`: so there is no `..`, no address, and nothing hidden.
_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+ -]{0,99}(/[A-Za-z0-9_][A-Za-z0-9_.+ -]{0,99}){0,3}")
_AGAIN = "write the store again"
_AT_ONCE = 16  # documents that are asked for side by side on an object store


@dataclass(frozen=True)
class Group:
    """The attributes of a Zarr group: OME's, and those of our own export. `where` names the document in messages."""

    where: str
    ome: Mapping[str, Any]
    own: Mapping[str, Any]


@dataclass(frozen=True)
class Field:
    """A field that the metadata lists: the image group in `folder`."""

    row: int
    col: int
    site: int
    folder: str
    acquisition: int | None = None


@dataclass(frozen=True)
class Plate:
    """What is said above the images."""

    where: str
    fields: Sequence[Field]
    name: str | None = None
    folder: str | None = None  # of the plate's group; None where there is no plate, and nothing lists the wells
    shape: tuple[int, int] | None = None
    acquisitions: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    own: Mapping[str, Any] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    warnings: Sequence[str] = ()


@dataclass(frozen=True)
class Multiscales:
    """One image in several sizes: its axes (`czyx`), the paths of its arrays, and its places in µm where they are known."""

    axes: str
    paths: Sequence[str]
    pixel_um: float | None
    corner_um: tuple[float, float] | None  # x and y of the centre of the first pixel
    heights_um: tuple[float, float] | None  # of the first plane, and from plane to plane
    labels: Sequence[str | None]
    light_nm: Sequence[tuple[float | None, float | None]]  # excitation and emission of each channel


def topmost(listing: Listing) -> list[str]:
    """The folders of Zarr groups and arrays that lie in no other; empty text for the listing's own."""
    documents = {*GROUP_DOCUMENTS, *ARRAY_DOCUMENTS}
    folders = {folder for folder, _, name in (entry.path.rpartition("/") for entry in listing.entries) if name in documents}
    if "" in folders:
        return [""]

    def above(folder: str) -> Iterator[str]:
        while folder := folder.rpartition("/")[0]:
            yield folder

    return sorted(folder for folder in folders if not any(parent in folders for parent in above(folder)))


def begins_as_ome(listing: Listing, folder: str) -> bool:
    """Whether the folder's document names one of OME's keys in its beginning."""
    if (path := first_of(listing, folder, GROUP_DOCUMENTS)) is None:
        return False
    start = read_start(listing, path, 65_536)
    return any(key in start for key in _KEYS_OF_OME)


def first_of(listing: Listing, folder: str, names: Sequence[str]) -> str | None:
    """The first of the documents that lies in the folder."""
    return next((path for name in names if (path := inside(folder, name)) in listing.sizes), None)


def inside(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def plain_name(folder: str) -> str:
    """The name of a store without `.zarr` and `.ome.zarr`."""
    return re.sub(r"(\.ome)?\.zarr$", "", folder, flags=re.IGNORECASE)


def an_object(value: Any) -> Mapping[str, Any]:
    """The value where it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def a_number(value: Any) -> float | None:
    """The finite number that a value is; None where it is none."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
    return float(value) if number and math.isfinite(value) else None


def where_is(listing: Listing, path: str) -> str:
    """A file as messages name it."""
    return f"{listing.root}/{path}"


def fault(where: str, key: str, said: str, remedy: str = _AGAIN) -> AcquisitionError:
    """The error about one key of one document."""
    return AcquisitionError(f"{where}: `{key}` {said}: {remedy}")


def _documents(listing: Listing, paths: Sequence[str | None]) -> Iterator[dict[str, Any] | None]:
    """The JSON object of each path in their order, None for None; on an object store several are asked for at once."""

    def content(path: str | None) -> bytes | None:
        return None if path is None else read_start(listing, path, MAX_DOCUMENT_BYTES + 1)

    def parsed(found: Iterator[bytes | None]) -> Iterator[dict[str, Any] | None]:
        for path, text in zip(paths, found, strict=True):
            try:
                yield None if text is None else json_object(text)
            except ZarrDocumentError as error:
                raise AcquisitionError(f"{where_is(listing, path or '')}: {error}") from error

    if local_path(listing.root) is not None:
        yield from parsed(map(content, paths))
        return
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="documents") as pool:
        yield from parsed(pool.map(content, paths))


def groups_of(listing: Listing, folders: Sequence[str]) -> Iterator[Group | None]:
    """The attributes of each group, None where the folder has no document of one."""
    found = [first_of(listing, folder, GROUP_DOCUMENTS) for folder in folders]
    for folder, path, document in zip(folders, found, _documents(listing, found), strict=True):
        if path is None or document is None:
            yield None
        elif path.endswith("zarr.json"):
            attributes = an_object(document.get("attributes"))
            ome = an_object(attributes["ome"]) if "ome" in attributes else attributes
            yield _checked(Group(where_is(listing, path), ome, an_object(attributes.get(OWN))))
        else:
            attributes = document if path.endswith(".zattrs") else {}
            yield _checked(Group(where_is(listing, inside(folder, ".zattrs")), attributes, an_object(attributes.get(OWN))))


def _checked(group: Group) -> Group:
    said = [group.ome, an_object(group.ome.get("plate")), *map(an_object, _items(group.ome.get("multiscales"))[:1])]
    for version in (each.get("version") for each in said):
        if version is not None and str(version) not in _VERSIONS:
            known = " and ".join(_VERSIONS)
            raise fault(
                group.where, "version", f"is {str(version)[:20]!r}, and {known} are read", "convert the store to one of them"
            )
    return group


def arrays_of(listing: Listing, images: Sequence[tuple[str, str, Multiscales]]) -> Iterator[tuple[str, ZarrArray | None]]:
    """Document and meaning of the first array of each image (its group's document, the array's folder, its multiscales)."""
    found = [first_of(listing, folder, ARRAY_DOCUMENTS) for _, folder, _ in images]
    for (where, folder, level), path, document in zip(images, found, _documents(listing, found), strict=True):
        if path is None or document is None:
            yield inside(folder, ".zarray" if where.endswith(".zattrs") else "zarr.json"), None
            continue
        try:
            array = array_of(document)
        except ZarrDocumentError as error:
            raise AcquisitionError(f"{where_is(listing, path)}: {error}") from error
        if len(array.shape) != len(level.axes):
            said = f"has {len(array.shape)} lengths, and `multiscales[0].axes` of {where} names {len(level.axes)}"
            raise fault(where_is(listing, path), "shape", said)
        yield path, array


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _relative(where: str, key: str, path: Any) -> str:
    """A path below the group that names it; `..`, absolute paths and addresses are refused."""
    if not isinstance(path, str) or not _SAFE.fullmatch(path):
        raise fault(where, key, f"is {str(path)[:80]!r}, which is no path inside of the store", f"mend it, or {_AGAIN}")
    return path


def plate_of(listing: Listing, top: str, group: Group) -> Plate:
    """The fields that a plate's metadata lists, well by well."""
    plate, where = an_object(group.ome["plate"]), group.where
    rows, cols = (_axis_names(where, plate, key) for key in ("rows", "columns"))
    wells, warnings = [], []
    for number, entry in enumerate(map(an_object, _items(plate.get("wells")))):
        key = f"plate.wells[{number}]"
        path = _relative(where, f"{key}.path", entry.get("path"))
        row, _, col = path.partition("/")
        if row not in rows or col not in cols:
            raise fault(where, f"{key}.path", f"is {path!r}, which is no row/column of `plate.rows` and `plate.columns`")
        indices = (entry.get("rowIndex"), entry.get("columnIndex"))
        if indices not in ((list(rows).index(row), list(cols).index(col)), (None, None)):
            warnings.append(f"{key} is {path} and says rowIndex {indices[0]}, columnIndex {indices[1]}: its path counts")
        try:
            wells.append((path, Well(rows[row], cols[col])))
        except LayoutError as error:
            raise AcquisitionError(f"{where}: `{key}`: {error}") from error
    if not wells:
        raise fault(where, "plate.wells", "lists no well", "write the plate again with its wells")
    if len(warnings) > 3:
        warnings[3:] = [f"{len(warnings) - 3} more wells have other indices than their paths"]
    numbered = map(an_object, _items(plate.get("acquisitions")))
    whole = all(list(axis.values()) == list(range(1, len(axis) + 1)) for axis in (rows, cols))
    shape, name = (len(rows), len(cols)), plate.get("name")
    about = {"OME-Zarr version": group.ome.get("version") or plate.get("version")}
    return Plate(
        where, _fields(listing, top, wells), plain_name(name) if isinstance(name, str) else None, top,
        shape if whole and shape in FORMATS.values() else None,
        {each["id"]: each for each in numbered if type(each.get("id")) is int},
        group.own, {**about, **an_object(group.own.get("metadata"))}, warnings,
    )  # fmt: skip


def _axis_names(where: str, plate: Mapping[str, Any], key: str) -> dict[str, int]:
    """Number of each row (or column) by its name: `B` and `2` are the second, whatever the plate leaves out; else its place."""
    names = [str(an_object(each).get("name")) for each in _items(plate.get(key))]
    if not names or not all(re.fullmatch(r"[A-Za-z0-9]{1,40}", name) for name in names):
        raise fault(where, f"plate.{key}", "is no list of objects with a `name` of letters and digits")
    if all(re.fullmatch(r"0*[1-9]\d?", name) for name in names):
        numbers = [int(name) for name in names]
    elif key == "rows" and all(re.fullmatch(r"[A-Za-z]|[Aa][A-Za-z]", name) for name in names):
        numbers = [ord(name[-1].upper()) - 64 + 26 * (len(name) - 1) for name in names]
    else:
        numbers = list(range(1, len(names) + 1))
    if len(set(numbers)) < len(numbers) or len(set(names)) < len(names):
        raise fault(where, f"plate.{key}", "names one place twice")
    return dict(zip(names, numbers, strict=True))


def _fields(listing: Listing, top: str, wells: Sequence[tuple[str, Well]]) -> list[Field]:
    """The fields of the wells; sites count from 1 in the order of the list, for each acquisition on its own.

    A well whose own metadata is not there is taken to have the fields of the first one that has.
    """
    groups = list(groups_of(listing, [inside(top, path) for path, _ in wells]))
    listed = [None if group is None else _fields_of_well(group) for group in groups]
    like = next((fields for fields in listed if fields), [("0", None)])
    fields = []
    for (path, well), mine in zip(wells, listed, strict=True):
        sites: dict[int | None, int] = {}
        for name, acquisition in mine or like:
            sites[acquisition] = sites.get(acquisition, 0) + 1
            fields.append(Field(well.row, well.col, sites[acquisition], inside(top, f"{path}/{name}"), acquisition))
    return fields


def _fields_of_well(group: Group) -> list[tuple[str, int | None]]:
    fields = []
    for number, entry in enumerate(map(an_object, _items(an_object(group.ome.get("well")).get("images")))):
        key, acquisition = f"well.images[{number}]", entry.get("acquisition")
        if acquisition is not None and type(acquisition) is not int:
            raise fault(group.where, f"{key}.acquisition", f"is {str(acquisition)[:40]!r} and no number")
        fields.append((_relative(group.where, f"{key}.path", entry.get("path")), acquisition))
    if not fields or len({path for path, _ in fields}) < len(fields):
        raise fault(group.where, "well.images", "lists no image, or one of them twice")
    return fields


def multiscales_of(group: Group) -> Multiscales:
    """The first multiscales of an image's group; what it says is checked, sizes and places that make no sense are unknown."""
    given = _items(group.ome.get("multiscales"))
    if not given:
        raise fault(group.where, "multiscales", "is empty" if "multiscales" in group.ome else "is not there")
    image, key = an_object(given[0]), "multiscales[0]"
    axes, units = _axes(group.where, image)
    datasets = [an_object(each) for each in _items(image.get("datasets"))]
    if not datasets:
        raise fault(group.where, f"{key}.datasets", "lists no array")
    paths = [_relative(group.where, f"{key}.datasets[{n}].path", each.get("path")) for n, each in enumerate(datasets)]
    steps = [*_items(datasets[0].get("coordinateTransformations")), *_items(image.get("coordinateTransformations"))]
    scale, shift = _placed(steps, len(axes))
    um = [None if unit is None or step is None else unit * step for unit, step in zip(units, scale, strict=True)]
    at = [None if unit is None or step is None else unit * step for unit, step in zip(units, shift, strict=True)]
    pixel, right, down = um[-1], at[-1], at[-2]
    plane, height = (um[axes.index("z")], at[axes.index("z")]) if "z" in axes else (None, None)
    channels = [an_object(each) for each in _items(an_object(group.ome.get("omero")).get("channels"))]
    return Multiscales(
        axes, paths, pixel if pixel and pixel > 0 else None, None if right is None or down is None else (right, down),
        None if plane is None or height is None else (height, plane), [_label(each.get("label")) for each in channels],
        [(a_number(each.get("excitationWave")), a_number(each.get("emissionWave"))) for each in channels],
    )  # fmt: skip


def _label(given: Any) -> str | None:
    return " ".join(str(given).split())[:200] or None if given is not None else None


def _axes(where: str, image: Mapping[str, Any]) -> tuple[str, list[float | None]]:
    """The axes as letters, and µm in the unit of each that is of space."""
    given = _items(image.get("axes"))
    letters, units = "", []
    for axis in given:
        named = axis if isinstance(axis, dict) else {"name": axis}
        by_type = {"time": "t", "channel": "c"}.get(str(named.get("type")))
        letters += by_type or str(named.get("name")).lower()[:9]
        units.append(_UM.get(str(named.get("unit")).strip().lower()))
    if letters not in _LEGAL_AXES or len(given) != len(letters):
        said = f"is {letters[:60]!r}, and some of t, c, z in this order and then y, x are needed"
        raise fault(where, "multiscales[0].axes", said, "write the store again with its axes in this order")
    return letters, units


_LEGAL_AXES = {t + c + z + "yx" for t in ("", "t") for c in ("", "c") for z in ("", "z")}


def _placed(steps: Sequence[Any], count: int) -> tuple[list[float | None], list[float | None]]:
    """Scale and translation of each axis after all the steps; None throughout where one of them makes no sense."""
    scale, shift, scaled = [1.0] * count, [0.0] * count, False
    for step in map(an_object, steps):
        kind = step.get("type")
        if kind == "identity":
            continue
        values = [a_number(each) for each in _items(step.get(str(kind)))]
        if kind not in ("scale", "translation") or len(values) != count or None in values:
            return [None] * count, [None] * count
        numbers = [value for value in values if value is not None]
        if kind == "scale":
            scaled = True
            scale = [a * b for a, b in zip(scale, numbers, strict=True)]
            shift = [a * b for a, b in zip(shift, numbers, strict=True)]
        else:
            shift = [a + b for a, b in zip(shift, numbers, strict=True)]
    sound = scaled and all(math.isfinite(number) for number in (*scale, *shift))
    return (list(scale), list(shift)) if sound else ([None] * count, [None] * count)
