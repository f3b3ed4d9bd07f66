"""What lies in a folder, and whether it changed."""

import os

import pytest
from upath import UPath

from plate_assets.plates.listing import ListingError, list_folder


def write(folder, **files):
    for name, content in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def names(listing):
    return [entry.path for entry in listing.entries]


def test_files_are_listed_below_every_folder_with_forward_slashes(tmp_path):
    write(tmp_path, a=b"1", sub__deep__b=b"22")
    listing = list_folder(UPath(tmp_path))
    assert [(entry.path, entry.size) for entry in listing.entries] == [("a", 1), ("sub/deep/b", 2)]


def test_hidden_and_temporary_files_are_no_content(tmp_path):
    clutter = (".DS_Store", "Thumbs.db", "A01.tif~", "~lock", ".hidden/A02.tif", "A03.tif.part", "A04.tmp", ".A05.tif.Xy12Zq")
    for name in clutter:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "A01.tif").write_bytes(b"x")
    assert names(list_folder(UPath(tmp_path))) == ["A01.tif"]


@pytest.mark.parametrize(("name", "why"), [(b"A\xff.tif", "is not in UTF-8"), (b"A\n01.tif", "holds a line break")])
def test_a_name_that_no_table_can_hold_is_refused_with_the_remedy(tmp_path, name, why):
    (tmp_path / "A01.tif").touch()
    with open(os.path.join(os.fsencode(tmp_path), name), "wb"):
        pass
    with pytest.raises(ListingError, match=f"whose name {why}.*rename it"):
        list_folder(UPath(tmp_path))


def test_names_are_found_whatever_their_case_and_folder(tmp_path):
    for name in ("Index.XML", "a/index.xml", "a/myindex.xml", "a/index.xml.bak", "板/Index.xml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert list_folder(UPath(tmp_path)).named("index.xml") == ["Index.XML", "a/index.xml", "板/Index.xml"]


def test_a_copy_in_progress_moves_the_activity_and_not_the_signature(tmp_path):
    write(tmp_path, a=b"1")
    before = list_folder(UPath(tmp_path))
    (tmp_path / "b.tif.part").write_bytes(b"x")
    during = list_folder(UPath(tmp_path))
    (tmp_path / "b.tif.part").write_bytes(b"xx")
    later = list_folder(UPath(tmp_path))
    assert before.signature == during.signature == later.signature
    assert len({before.activity, during.activity, later.activity}) == 3 and before.activity == ""


@pytest.mark.parametrize("change", ["size", "time", "name", "more", "less"])
def test_every_change_that_a_name_a_size_or_a_time_shows_changes_the_signature(tmp_path, change):
    write(tmp_path, a=b"1", b=b"2")
    before = list_folder(UPath(tmp_path)).signature
    assert before == list_folder(UPath(tmp_path)).signature and len(before) == 16
    {
        "size": lambda: (tmp_path / "a").write_bytes(b"123"),
        "time": lambda: os.utime(tmp_path / "a", (1, 1)),
        "name": lambda: (tmp_path / "a").rename(tmp_path / "c"),
        "more": lambda: (tmp_path / "c").write_bytes(b""),
        "less": lambda: (tmp_path / "a").unlink(),
    }[change]()
    assert list_folder(UPath(tmp_path)).signature != before


def test_a_link_that_leaves_the_folder_is_refused_and_one_inside_is_followed(tmp_path):
    folder = tmp_path / "plate"
    write(folder, a=b"1")
    (folder / "inside").symlink_to(folder / "a")
    assert names(list_folder(UPath(folder))) == ["a", "inside"]
    (tmp_path / "secret").write_bytes(b"x")
    (folder / "out").symlink_to(tmp_path / "secret")
    with pytest.raises(ListingError, match="out is a link to .*secret"):
        list_folder(UPath(folder))


def test_a_link_to_a_folder_is_refused_so_that_no_walk_goes_round_in_circles(tmp_path):
    write(tmp_path, a=b"1")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(ListingError, match="loop is a link"):
        list_folder(UPath(tmp_path))


def test_a_folder_that_is_not_there_or_a_file_says_so(tmp_path):
    with pytest.raises(ListingError, match="is not there"):
        list_folder(UPath(tmp_path / "none"))
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(ListingError, match="is a file"):
        list_folder(UPath(tmp_path / "file"))


def test_an_object_store_lists_as_a_disk_does():
    folder = UPath("memory://listing/plate")
    for name in ("A01.tif", "sub/A02.tif", "A03.tif.part"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"123")
    listing = list_folder(folder)
    assert [(entry.path, entry.size) for entry in listing.entries] == [("A01.tif", 3), ("sub/A02.tif", 3)]
    assert listing.path_of("sub/A02.tif").read_bytes() == b"123"
    (folder / "sub/A02.tif").write_bytes(b"1234")
    assert list_folder(folder).signature != listing.signature
