"""OME-Zarr plates: what the metadata lists, which images have files, pixels by page, and what no store may do."""

import json
import pickle
import shutil

import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from upath import UPath

from plate_assets.plates.acquisition import AcquisitionError, fingerprint
from plate_assets.plates.image_files import ImageError
from plate_assets.plates.images import describe_file, read_image
from plate_assets.plates.listing import ListingError, list_folder
from plate_assets.plates.readers import ReadOptions, SeveralTimepoints
from plate_assets.plates.readers.ome_zarr import OmeZarrReader

UNITS = {"t": "second", "z": "micrometer", "y": "micrometer", "x": "micrometer"}
KINDS = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}


def read(folder, **options):
    return OmeZarrReader().read(list_folder(UPath(folder)), ReadOptions(**options))


def recognised(folder):
    return OmeZarrReader().recognises(list_folder(UPath(folder)))


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def group(folder, attributes, version="0.5"):
    if version == "0.5":
        said = {"ome": {"version": "0.5", **attributes}}
        write_json(folder / "zarr.json", {"zarr_format": 3, "node_type": "group", "attributes": said})
    else:
        write_json(folder / ".zgroup", {"zarr_format": 2})
        write_json(folder / ".zattrs", attributes)


def change(path, *keys, to):
    """Put a value at a place of a document; `del` takes the key away."""
    document = json.loads(path.read_text())
    place = document
    for key in keys[:-1]:
        place = place[key]
    if to is DELETED:
        del place[keys[-1]]
    else:
        place[keys[-1]] = to
    path.write_text(json.dumps(document))


DELETED = object()


def image(folder, pixels, axes="yx", version="0.5", labels=None, scale=None, units=UNITS, levels=1, **array):
    """An image group with its pixels as level 0, and smaller levels of zeros."""
    named = [{"name": a, "type": KINDS[a], **({"unit": units[a]} if a in units else {})} for a in axes]
    steps = [{"type": "scale", "scale": list(scale or [1.0] * len(axes))}]
    datasets = [{"path": str(level), "coordinateTransformations": steps} for level in range(levels)]
    about = {"multiscales": [{"axes": named, "datasets": datasets, **({"version": "0.4"} if version == "0.4" else {})}]}
    if labels:
        about["omero"] = {"channels": [{"label": label} for label in labels]}
    group(folder, about, version)
    for level in range(levels):
        format_ = {"zarr_format": 3 if version == "0.5" else 2, "dimension_names": list(axes) if version == "0.5" else None}
        chunks = array.get("chunks") or (1,) * (pixels.ndim - 2) + pixels.shape[-2:]
        stored = zarr.create_array(
            str(folder / str(level)), shape=pixels.shape, dtype=pixels.dtype, **{**array, "chunks": chunks}, **format_,
            config={"write_empty_chunks": True},
            chunk_key_encoding={"name": "v2", "separator": "/"} if version == "0.4" else None,
        )  # fmt: skip
        stored[...] = pixels if not level else 0
    return folder


def plate(folder, wells=("A/1", "A/2"), fields=("0",), version="0.5", rows="ABCDEFGH", cols=12, well_images=None, **more):
    """A plate whose wells all have the same fields; `image` has to be called for each of them."""
    columns = [str(col) for col in (range(1, cols + 1) if isinstance(cols, int) else cols)]
    listed = [
        {"path": path, "rowIndex": list(rows).index(path.split("/")[0]), "columnIndex": columns.index(path.split("/")[1])}
        for path in wells
    ]
    names = {"rows": [{"name": row} for row in rows], "columns": [{"name": col} for col in columns]}
    group(folder, {"plate": {"name": "P001", "version": version, **names, "wells": listed, **more}}, version)
    for path in wells:
        group(folder / path, {"well": {"images": well_images or [{"path": name} for name in fields]}}, version)
    return folder


def ramp(*shape, dtype=np.uint16):
    return (np.arange(np.prod(shape)) % np.iinfo(dtype).max).astype(dtype).reshape(shape)


def small_plate(folder, version="0.5", wells=("A/1", "A/2"), **array):
    """Two wells of one field with two channels and three planes."""
    made = plate(folder, wells, version=version)
    for path in wells:
        image(made / path / "0", ramp(2, 3, 8, 8), "czyx", version, ["DAPI", "GFP"], (1, 2.0, 0.5, 0.5), levels=2, **array)
    return made


def document(version):
    return "zarr.json" if version == "0.5" else ".zarray"


def test_the_real_plate_is_read_and_what_lacks_its_chunks_is_missing(real_data):
    found = read(real_data / "ome-zarr-hcs-examples" / "data" / "valid" / "plate-01.zarr")
    assert (found.plate, found.timepoint, found.layout, found.pixel_um) == ("my_wonderful_plate", "t0", "ome_zarr", 1.0)
    assert found.images["Metadata_Well"].to_list() == ["A01", "A02", "B01", "B02"]
    assert found.images["path"].to_list() == [f"{well}/0/0/0/0" for well in ("A/1", "A/2", "B/1", "B/2")]
    assert found.complete is False and "0 of 4 images" in found.completeness
    assert "plate.wells[1] is A/2 and says rowIndex 1, columnIndex 0: its path counts" in found.warnings


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("image-01", r"image-01.zarr/.zattrs has neither the key `plate` nor `multiscales`: name the folder of a plate"),
        ("image-02", r"image-02.zarr/.zattrs: `multiscales` is empty: write the store again"),
        (
            "image-03",
            r"image-03.zarr/.zattrs: `multiscales\[0\].datasets\[0\].path` names '0', and no array .* lies there: copy",
        ),
        ("image-04", r"image-04.zarr/1/.zarray: `shape` has 2 lengths, and `multiscales\[0\].axes` of .* names 3: write"),
    ],
)
def test_every_invalid_store_is_one_error_with_its_file_key_and_remedy(real_data, name, says):
    folder = real_data / "ome-zarr-hcs-examples" / "data" / "invalid" / f"{name}.zarr"
    assert recognised(folder)
    with pytest.raises(AcquisitionError, match=says):
        read(folder)


@pytest.mark.parametrize("name", ["valid/image-02", "valid/image-03", "valid/image-04", "warning/image-01"])
def test_a_single_image_asks_for_its_well(real_data, name):
    with pytest.raises(AcquisitionError, match="no key `plate`.*nothing says which well.*P001_A01_s1.zarr.*`pattern`"):
        read(real_data / "ome-zarr-hcs-examples" / "data" / f"{name}.zarr")


def test_a_single_image_that_is_called_by_its_well_is_read_and_its_floating_point_pixels_are_refused(real_data, tmp_path):
    source = real_data / "ome-zarr-hcs-examples" / "data" / "valid" / "image-02.zarr"
    shutil.copytree(source, tmp_path / "P001_B02_s3.zarr", copy_function=shutil.copyfile)
    found = read(tmp_path / "P001_B02_s3.zarr")
    row = found.images.row(0, named=True)
    assert (found.plate, row["Metadata_Well"], row["Metadata_Site"], row["path"]) == ("P001", "B02", 3, "0/.zarray")
    assert (found.complete, row["Metadata_Channel"]) == (None, "default") and "nothing tells how many" in found.completeness
    with pytest.raises(ImageError, match=r"0/.zarray holds <f8 pixels, and unsigned 8- or 16-bit ones are needed"):
        read_image(found.root / row["path"])
    named = read(source, pattern=r"(?P<row>i)mage-0(?P<col>\d)")
    assert named.images["Metadata_Well"].to_list() == ["I02"]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_wells_sites_channels_planes_and_sizes_are_the_metadatas(tmp_path, version):
    found = read(small_plate(tmp_path / "P001_096h.zarr", version))
    assert (found.acquisition_id, found.timepoint_h, found.plate_format.wells, found.pixel_um) == ("P001_096h", 96.0, 96, 0.5)
    key = ("Metadata_Well", "Metadata_Site", "Metadata_Channel", "Metadata_Plane", "path", "page", "z_um")
    path = f"A/2/0/0/{document(version)}"
    assert found.images.filter(Metadata_Well="A02").select(key).rows() == [
        ("A02", 1, name, plane + 1, path, channel * 3 + plane, 2.0 * plane)
        for channel, name in enumerate(["DAPI", "GFP"])
        for plane in range(3)
    ]
    assert found.images["size_bytes"].to_list() == [
        (tmp_path / "P001_096h.zarr" / p).stat().st_size for p in found.images["path"]
    ]
    assert found.complete is True and found.completeness.startswith("the vendor's list of files: 12 of 12 images")


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("axes", [t + c + z + "yx" for t in ("", "t") for c in ("", "c") for z in ("", "z")])
def test_a_page_is_the_flat_index_over_the_axes_before_y_and_x(tmp_path, version, axes):
    sizes = {"t": 1, "c": 2, "z": 3, "y": 6, "x": 5}
    pixels = ramp(*(sizes[axis] for axis in axes))
    image(plate(tmp_path / "x.zarr", ["A/1"], version=version) / "A" / "1" / "0", pixels, axes, version)
    found = read(tmp_path / "x.zarr")
    channels, planes = (sizes[axis] if axis in axes else 1 for axis in "cz")
    assert found.images.height == channels * planes and found.images["present"].all()
    whole = pixels.reshape(channels, planes, 6, 5)
    for number, row in enumerate(found.images.iter_rows(named=True)):
        expected = whole[number // planes, row["Metadata_Plane"] - 1]
        assert np.array_equal(read_image(found.root / row["path"], row["page"]), expected)
    about = describe_file(found.root / found.images["path"][0])
    assert (about.shape, about.dtype, len(about.pages)) == ((6, 5), "uint16", channels * planes)


@pytest.mark.parametrize("array", [{"chunks": (1, 2, 5, 7)}, {"chunks": (2, 3, 4, 4)}, {"order": "F"}, {"filters": "delta"}])
@pytest.mark.parametrize("dtype", ["uint8", ">u2"])
def test_pixels_come_back_whatever_their_chunks_order_and_filters(tmp_path, array, dtype):
    if array.get("filters"):
        from numcodecs import Delta

        array = {"filters": Delta(dtype)}
    pixels = ramp(2, 3, 9, 11, dtype=np.uint8).astype(dtype)
    image(plate(tmp_path / "x.zarr", ["A/1"], version="0.4") / "A" / "1" / "0", pixels, "czyx", "0.4", **array)
    found = read(tmp_path / "x.zarr")
    for row in found.images.iter_rows(named=True):
        expected = pixels.reshape(6, 9, 11)[row["page"]]
        decoded = read_image(found.root / row["path"], row["page"])
        assert np.array_equal(decoded, expected) and decoded.dtype == np.dtype(dtype).newbyteorder("=")


def test_a_size_in_another_unit_becomes_micrometres_and_one_without_a_unit_is_unknown(tmp_path):
    for name, units, expected in (
        ("nm", UNITS | {"x": "nanometer"}, 0.325),
        ("none", {}, None),
        ("inch", UNITS | {"x": "parsec"}, None),
    ):
        image(plate(tmp_path / name, ["A/1"]) / "A" / "1" / "0", ramp(4, 4), scale=(325.0, 325.0), units=units)
        assert read(tmp_path / name).pixel_um == expected
    change(tmp_path / "nm" / "A" / "1" / "0" / "zarr.json", "attributes", "ome", "multiscales", 0, "coordinateTransformations",
           to=[{"type": "scale", "scale": [2.0, 2.0]}])  # fmt: skip
    assert read(tmp_path / "nm").pixel_um == 0.65


def test_a_translation_is_a_place_only_where_the_store_says_that_it_is_counted_from_the_wells_centre(tmp_path):
    made = image(plate(tmp_path / "x", ["A/1"]) / "A" / "1" / "0", ramp(3, 5))
    image_document = made / "zarr.json"
    steps = [{"type": "scale", "scale": [1.0, 1.0]}, {"type": "translation", "translation": [-10.0, 30.0]}]
    at = ("attributes", "ome", "multiscales", 0)
    change(image_document, *at, "datasets", 0, "coordinateTransformations", to=steps)
    change(image_document, *at, "coordinateTransformations", to=[{"type": "scale", "scale": [0.5, 0.5]}])
    assert read(tmp_path / "x").images.select("x_um", "y_um").row(0) == (None, None)
    change(image_document, "attributes", "plate_assets", to={"origin": "well centre"})
    assert read(tmp_path / "x").images.select("x_um", "y_um").row(0) == (15.0 + 2 * 0.5, -5.0 + 1 * 0.5)


def test_channels_of_one_name_or_none_are_told_apart(tmp_path):
    image(plate(tmp_path / "x", ["A/1"]) / "A" / "1" / "0", ramp(4, 4, 4), "cyx", labels=["DAPI", "DAPI", ""])
    assert read(tmp_path / "x").images["Metadata_Channel"].to_list() == ["DAPI (1)", "DAPI (2)", "channel 3", "channel 4"]


def test_wells_are_called_by_the_names_of_rows_and_columns_and_not_by_their_places_in_the_lists(tmp_path):
    made = plate(tmp_path / "x", ["C/05", "D/11"], rows="CD", cols=["05", "11"])
    for path in ("C/05", "D/11"):
        image(made / path / "0", ramp(4, 4))
    found = read(made)
    assert found.images["Metadata_Well"].to_list() == ["C05", "D11"]
    assert (found.plate_format.wells, found.sources["plate_format"][:7]) == (96, "guessed")


def test_an_image_without_a_file_is_missing_and_one_that_lacks_some_waits_until_it_settles(tmp_path):
    made = small_plate(tmp_path / "x.zarr", chunks=(1, 1, 4, 4))
    (made / "A" / "1" / "0" / "0" / "c" / "1" / "2" / "0" / "1").unlink()
    found = read(made)
    assert found.complete is None and found.completeness.startswith("only by its files staying the same: 1 of 12 images lack")
    assert found.images["present"].all()
    shutil.rmtree(made / "A" / "1" / "0" / "0" / "c" / "1" / "2")
    found = read(made)
    missing = found.missing.select("Metadata_Well", "Metadata_Channel", "Metadata_Plane", "path").rows()
    assert missing == [("A01", "GFP", 3, "A/1/0/0/c/1/2/0/0")]
    assert found.complete is False and "11 of 12 images are there" in found.completeness
    with pytest.raises(ImageError, match="no file of page 5, the first would be c/1/2/0/0.*copy the store again"):
        read_image(found.root / "A/1/0/0/zarr.json", 5)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_file_that_holds_several_images_counts_for_each_of_them(tmp_path, version):
    made = small_plate(tmp_path / "x.zarr", version, chunks=(1, 2, 8, 8))
    prefix = "c/" if version == "0.5" else ""
    (made / "A" / "2" / "0" / "0" / f"{prefix}0/1/0/0").unlink()  # the third plane of the first channel
    assert read(made).missing.select("Metadata_Well", "Metadata_Channel", "Metadata_Plane").rows() == [("A02", "DAPI", 3)]
    (made / "A" / "2" / "0" / "0" / f"{prefix}1/0/0/0").unlink()  # the first two of the second
    assert read(made).missing["path"].to_list()[1:] == [f"A/2/0/0/{prefix}1/0/0/0"] * 2


def test_a_lost_shard_is_a_missing_image(tmp_path):
    made = small_plate(tmp_path / "x.zarr", chunks=(1, 1, 4, 4), shards=(1, 1, 8, 8))
    assert read(made).complete is True
    array = made / "A" / "1" / "0" / "0"
    (array / "c" / "0" / "1" / "0" / "0").unlink()
    for stray in ("0/1/0/0", "c/0/1/0/1", "c/0/1/7/0/0"):  # of another format, outside of the image, of another shape
        (array / stray).parent.mkdir(parents=True, exist_ok=True)
        (array / stray).write_bytes(b"x")
        assert read(made).missing.select("Metadata_Channel", "Metadata_Plane").rows() == [("DAPI", 2)]
        (array / stray).unlink()


def test_names_of_files_with_dots_between_their_numbers_are_understood(tmp_path):
    made = plate(tmp_path / "x.zarr", ["A/1"], version="0.4")
    image(made / "A" / "1" / "0", ramp(2, 8, 8), "cyx", "0.4", chunks=(1, 4, 8))
    folder = made / "A" / "1" / "0" / "0"
    for file in [file for file in folder.rglob("*") if file.is_file() and file.name != ".zarray"]:
        file.rename(folder / str(file.relative_to(folder)).replace("/", "."))
    change(folder / ".zarray", "dimension_separator", to=DELETED)
    found = read(made)
    assert found.complete is True and np.array_equal(read_image(found.root / found.images["path"][1], 1), ramp(2, 8, 8)[1])
    for half in ("1.0.0", "1.1.0"):
        (folder / half).unlink()
    assert read(made).missing["path"].to_list() == ["A/1/0/0/1.0.0"]


@pytest.mark.parametrize("gone", ["A/2/0/0", "A/2/0", "A/2"])
def test_a_well_field_or_array_that_is_listed_and_not_there_is_missing_with_the_channels_of_the_others(tmp_path, gone):
    made = small_plate(tmp_path / "x.zarr")
    shutil.rmtree(made / gone)
    found = read(made)
    assert found.complete is False and found.missing.height == 6 and set(found.missing["Metadata_Well"]) == {"A02"}
    assert found.missing["Metadata_Channel"].unique().sort().to_list() == ["DAPI", "GFP"]
    assert set(found.missing["path"]) == {"A/2/0/0/zarr.json"}


def test_a_plate_that_lacks_arrays_of_smaller_levels_is_not_complete(tmp_path):
    made = small_plate(tmp_path / "x.zarr")
    shutil.rmtree(made / "A" / "2" / "0" / "1")
    found = read(made)
    assert found.complete is False and "12 of 12 images are there, 1 arrays of smaller levels are not" in found.completeness
    assert found.missing.height == 0


def test_several_acquisitions_are_several_visits_and_count_their_sites_each(tmp_path):
    images = [{"path": str(n), "acquisition": n // 2} for n in range(4)]
    visits = [{"id": 0, "name": "024h", "starttime": 1343731272000}, {"id": 1, "name": "096h", "starttime": 1343990472}]
    made = plate(tmp_path / "x.zarr", ["A/1"], well_images=images, acquisitions=visits)
    for number in range(4):
        image(made / "A" / "1" / str(number), ramp(4, 4) + number)
    with pytest.raises(SeveralTimepoints) as several:
        read(made)
    assert several.value.timepoints == ("024h", "096h")
    chosen = read(made, timepoint="096h")
    assert (chosen.acquisition_id, chosen.timepoint_h) == ("P001_096h", 96.0)
    assert chosen.started_at is not None and chosen.started_at.isoformat() == "2012-08-03T10:41:12+00:00"
    assert chosen.images.select("Metadata_Site", "path").rows() == [(1, "A/1/2/0/zarr.json"), (2, "A/1/3/0/zarr.json")]
    assert "A/1/2/0/c/0/0" in chosen.documents and "zarr.json" in chosen.documents
    assert not [path for path in chosen.documents if path.startswith(("A/1/0/", "A/1/1/"))]


def test_acquisitions_without_names_of_their_own_are_called_by_when_they_began_or_by_number(tmp_path):
    images = [{"path": str(n), "acquisition": n} for n in range(2)]
    for name, visits, expected in (
        ("a", [{"id": 0, "starttime": 1343731272}, {"id": 1, "starttime": 1343990472}], ("20120731T104112", "20120803T104112")),
        ("b", [{"id": 0, "name": "same"}, {"id": 1, "name": "same"}], ("acquisition-0", "acquisition-1")),
    ):
        made = plate(tmp_path / name, ["A/1"], well_images=images, acquisitions=visits)
        for number in range(2):
            image(made / "A" / "1" / str(number), ramp(4, 4))
        with pytest.raises(SeveralTimepoints) as several:
            read(made)
        assert several.value.timepoints == expected


def test_several_time_points_in_an_image_are_several_visits(tmp_path):
    pixels = ramp(3, 2, 4, 4)
    image(plate(tmp_path / "x.zarr", ["A/1"]) / "A" / "1" / "0", pixels, "tcyx", labels=["a", "b"])
    with pytest.raises(SeveralTimepoints) as several:
        read(tmp_path / "x.zarr")
    assert several.value.timepoints == ("T0", "T1", "T2")
    found = read(tmp_path / "x.zarr", timepoint="T2")
    assert (found.timepoint, found.images["page"].to_list()) == ("T2", [4, 5])
    assert np.array_equal(read_image(found.root / found.images["path"][1], 5), pixels[2, 1])
    change(tmp_path / "x.zarr" / "A" / "1" / "0" / "0" / "zarr.json", "shape", to=[100_000, 2, 4, 4])
    with pytest.raises(AcquisitionError, match="images of 100,000 time points: look at `shape`"):
        read(tmp_path / "x.zarr")


@pytest.mark.parametrize(
    "path", ["../x", "..", "/etc", "A/../../x", "A/1/../../..", "s3://x/y", "C:\\x", "A\\1", "", 7, None, "a\nb"]
)
def test_a_path_that_leaves_the_store_is_refused(tmp_path, path):
    at = ("attributes", "ome")
    for number, (name, keys) in enumerate(
        [
            ("zarr.json", ("plate", "wells", 0, "path")),
            ("A/1/zarr.json", ("well", "images", 0, "path")),
            ("A/1/0/zarr.json", ("multiscales", 0, "datasets", 0, "path")),
        ]
    ):
        made = small_plate(tmp_path / str(number))
        change(made / name, *at, *keys, to=path)
        with pytest.raises(AcquisitionError, match="is no path inside of the store|which is no path inside"):
            read(made)


def test_a_link_out_of_the_store_is_refused(tmp_path):
    made = small_plate(tmp_path / "x.zarr")
    (tmp_path / "secret").write_bytes(b"x")
    (made / "A" / "1" / "0" / "0" / "c" / "9").symlink_to(tmp_path / "secret")
    with pytest.raises(ListingError, match="is a link to"):
        read(made)


@pytest.mark.parametrize(
    ("keys", "value", "says"),
    [
        (("plate", "rows"), [], "`plate.rows` is no list of objects with a `name`"),
        (("plate", "columns", 1, "name"), "1", "`plate.columns` names one place twice"),
        (("plate", "wells"), [], "`plate.wells` lists no well"),
        (("plate", "wells", 0, "path"), "Z/1", "`plate.wells\\[0\\].path` is 'Z/1', which is no row/column"),
        (("plate", "wells", 1, "path"), "A/1", "is there twice"),
        (("version",), "0.6", "`version` is '0.6', and 0.4 and 0.5 are read: convert"),
        (("plate",), DELETED, "has neither the key `plate` nor `multiscales`"),
    ],
)
def test_what_is_no_sound_plate_says_what_is_wrong(tmp_path, keys, value, says):
    made = small_plate(tmp_path / "x.zarr")
    change(made / "zarr.json", "attributes", "ome", *keys, to=value)
    with pytest.raises(AcquisitionError, match=says):
        read(made)


@pytest.mark.parametrize(
    ("keys", "value", "says"),
    [
        (("multiscales",), DELETED, "`multiscales` is not there"),
        (("multiscales", 0, "axes"), ["y", "z", "x"], "`multiscales\\[0\\].axes` is 'yzx', and some of t, c, z in this order"),
        (("multiscales", 0, "axes", 1), {"name": "lambda", "type": "wave"}, "axes` is 'clambdayx'"),
        (("multiscales", 0, "axes"), ["z", "y", "x"], "`shape` has 4 lengths, and .* names 3"),
        (("multiscales", 0, "datasets"), [], "`multiscales\\[0\\].datasets` lists no array"),
    ],
)
def test_what_is_no_sound_image_says_what_is_wrong(tmp_path, keys, value, says):
    made = small_plate(tmp_path / "x.zarr")
    change(made / "A" / "2" / "0" / "zarr.json", "attributes", "ome", *keys, to=value)
    with pytest.raises(AcquisitionError, match=says):
        read(made)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"zarr_format": 3, "node_type": "gr', "no whole JSON .*still being copied"),
        (b"[" * 100_000, "no whole JSON"),
        (b"\xff\xfe\x00", "no whole JSON"),
        (b'{"a": "\\ud800"}', "no whole JSON"),
        (b"[1]", "holds no JSON object"),
        (b" " * (16 * 2**20 + 1), "more than 16,777,216 bytes"),
    ],
)
@pytest.mark.parametrize("name", ["A/1/zarr.json", "A/1/0/0/zarr.json"])
def test_a_document_that_is_cut_off_too_deep_or_too_large_says_so(tmp_path, content, says, name):
    made = small_plate(tmp_path / "x.zarr")
    (made / name).write_bytes(content)
    with pytest.raises(AcquisitionError, match=f"{name}: the document.*{says.removeprefix('the document ')}"):
        read(made)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("shape", [2, 3, 10**6, 10**6], "are the limits"),
        ("shape", [10**6, 10**6, 8, 8], "names more than 1,000,000 images"),
        ("shape", [2, 3, 8, -8], "`shape` is .*whole numbers from 1 on"),
        ("chunks", [1, 1, 10**6, 10**6], "chunks of 2,000,000,000,000 bytes for one image"),
        ("chunks", [1, 1, 8], "`chunks` is .* and 4 whole numbers"),
        ("dtype", "<u4", "holds <u4 pixels"),
        ("dtype", [["a", "<u2"]], "holds .* pixels"),
        ("dimension_separator", "..", "`dimension_separator` is '..'"),
        ("compressor", {"id": "zfpy"}, "names the codec 'zfpy', which is not read from a foreign store"),
    ],
)
def test_an_array_that_asks_for_too_much_or_for_nonsense_is_refused_before_memory_is_taken(tmp_path, key, value, says):
    made = small_plate(tmp_path / "x.zarr", "0.4")
    array = made / "A" / "1" / "0" / "0" / ".zarray"
    change(array, key, to=value)
    with pytest.raises(ImageError, match=says):
        read_image(UPath(array), 0)


def test_images_of_single_pixels_a_chunk_are_refused_instead_of_taking_for_ever(tmp_path):
    made = small_plate(tmp_path / "x.zarr", "0.4")
    array = made / "A" / "1" / "0" / "0" / ".zarray"
    change(array, "shape", to=[2, 3, 5000, 5000])
    change(array, "chunks", to=[1, 1, 1, 1])
    with pytest.raises(ImageError, match="25,000,000 chunks of 2 bytes for one image"):
        read_image(UPath(array), 0)


def test_a_page_that_is_not_there_and_a_damaged_chunk_say_so(tmp_path):
    made = small_plate(tmp_path / "x.zarr")
    array = UPath(made / "A" / "1" / "0" / "0" / "zarr.json")
    with pytest.raises(ImageError, match=r"has no page 7, its `shape` \(2, 3, 8, 8\) gives 6"):
        read_image(array, 6)
    (made / "A" / "1" / "0" / "0" / "c" / "0" / "0" / "0" / "0").write_bytes(b"not what zstd wrote")
    with pytest.raises(ImageError, match="zarr.json cannot be decoded"):
        read_image(array, 0)


class Bomb:
    def __reduce__(self):
        return (open, ("ran.txt", "w"))


def test_a_codec_that_runs_code_is_never_asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = small_plate(tmp_path / "x.zarr", "0.4")
    array = made / "A" / "1" / "0" / "0"
    change(array / ".zarray", "filters", to=[{"id": "pickle"}])
    (array / "0" / "0" / "0" / "0").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ImageError, match="names the codec 'pickle'"):
        read_image(UPath(array / ".zarray"), 0)
    assert not (tmp_path / "ran.txt").exists()


def test_every_file_of_the_store_counts_for_the_fingerprint(tmp_path):
    made = small_plate(tmp_path / "x.zarr", "0.4")
    before = fingerprint(read(made))
    assert before == fingerprint(read(made))
    for name in ("A/1/0/0/1/2/0/0", "A/2/.zattrs", ".zgroup", "A/1/0/1/0/0/0/0"):
        content = (made / name).read_bytes()
        (made / name).write_bytes(content + b" ")
        assert fingerprint(read(made)) != before, name
        (made / name).write_bytes(content)


def test_only_zarrs_own_hidden_files_are_content(tmp_path):
    for name in (".zattrs", ".zgroup", "A/.zarray", ".zmetadata", ".hidden", ".zarr/.zarray", ".zarray.Xy12Zq", "A/.DS_Store"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"{}")
    assert [entry.path for entry in list_folder(UPath(tmp_path)).entries] == [".zattrs", ".zgroup", "A/.zarray"]


def test_stores_are_recognised_by_their_documents_and_other_layouts_are_not(tmp_path, real_data):
    small_plate(tmp_path / "above" / "x.zarr", "0.4")
    assert recognised(tmp_path / "above") and recognised(tmp_path / "above" / "x.zarr")
    assert read(tmp_path / "above").images["path"][0] == "x.zarr/A/1/0/0/.zarray"
    (tmp_path / "tiffs").mkdir()
    tifffile.imwrite(tmp_path / "tiffs" / "A01.tif", ramp(4, 4))
    zarr.create_array(str(tmp_path / "tiffs" / "analysis" / "mask.zarr"), shape=(4, 4), dtype="uint8")
    assert not recognised(tmp_path / "tiffs")
    for folder in ("operetta-harmony-384", "cellprofiler-examples", "scanr-ome-metadata", "faim-ipa-imagexpress-cellvoyager"):
        assert not recognised(real_data / folder), folder


def test_what_is_part_of_a_plate_or_several_of_them_says_which_folder_to_name(tmp_path):
    made = small_plate(tmp_path / "two" / "x.zarr")
    with pytest.raises(AcquisitionError, match="`well` makes it one well of a plate: name the folder of the whole plate"):
        read(made / "A" / "1")
    with pytest.raises(AcquisitionError, match="no metadata of a plate or an image.*name the folder that ends in .zarr"):
        read(made / "A" / "1" / "0" / "0" / "c")
    small_plate(tmp_path / "two" / "y.zarr")
    with pytest.raises(AcquisitionError, match=r"holds 2 Zarr stores \(x.zarr, y.zarr\).*name the folder of one"):
        read(tmp_path / "two")
    group(tmp_path / "b2r", {"bioformats2raw.layout": 3})
    with pytest.raises(AcquisitionError, match="`bioformats2raw.layout` makes it a collection of images"):
        read(tmp_path / "b2r")


def test_images_that_are_called_by_their_wells_are_one_acquisition(tmp_path):
    for name in ("A01.zarr", "A02_s2.ome.zarr"):
        image(tmp_path / "P001_024h" / name, ramp(4, 4))
    found = read(tmp_path / "P001_024h")
    assert (found.acquisition_id, found.complete) == ("P001_024h", None)
    assert found.images.select("Metadata_Well", "Metadata_Site").rows() == [("A01", 1), ("A02", 2)]


def test_a_store_on_an_object_store_reads_as_on_a_disk(tmp_path):
    made = small_plate(tmp_path / "P001_096h.zarr", "0.4", chunks=(1, 1, 4, 8))
    remote = UPath("memory://ome_zarr/P001_096h.zarr")
    for file in [file for file in made.rglob("*") if file.is_file()]:
        there = remote / str(file.relative_to(made))
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_bytes(file.read_bytes())
    here, there = read(made), OmeZarrReader().read(list_folder(remote), ReadOptions())
    assert there.images.equals(here.images) and fingerprint(there) == fingerprint(here)
    row = here.images.row(4, named=True)
    assert np.array_equal(read_image(there.root / row["path"], row["page"]), ramp(2, 3, 8, 8).reshape(6, 8, 8)[row["page"]])


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
    | st.sampled_from(["..", "/x", "0", "A/1", "0.5", "\ud800", 10**30, 1e308]),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=4), inside, max_size=3),
    max_leaves=4,
)  # fmt: skip


def places(value, at=()):
    yield at
    for key, inside in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inside, (*at, key))


@pytest.fixture(scope="module", params=["0.4", "0.5"])
def sound_store(request, tmp_path_factory):
    return small_plate(tmp_path_factory.mktemp("sound") / "x.zarr", request.param, wells=("A/1",))


@settings(max_examples=150)
@given(data=st.data())
def test_whatever_a_document_says_the_answer_is_an_acquisition_or_one_error(sound_store, data):
    named = [file for file in sound_store.rglob("*") if file.name in ("zarr.json", ".zattrs", ".zarray")]
    documents = sorted(file for file in named if file.read_bytes() != b"{}")
    target = data.draw(st.sampled_from(documents))
    before = target.read_bytes()
    keys = data.draw(st.sampled_from([at for at in places(json.loads(before)) if at]))
    try:
        change(target, *keys, to=data.draw(JUNK | st.just(DELETED)))
        found = read(sound_store)
        for row in found.images.filter("present").iter_rows(named=True):
            read_image(found.root / row["path"], row["page"])
    except (AcquisitionError, ImageError) as error:
        assert str(error)
    finally:
        target.write_bytes(before)
