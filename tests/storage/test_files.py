"""One file is written whole or not at all."""

import os
import subprocess
import sys
import threading

import pytest

from plate_assets.storage.files import Claim, StorageError, create_bytes, write_bytes

LIMITED = """
import resource, sys
from plate_assets.storage.files import write_bytes
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
write_bytes(sys.argv[1], b"n" * 1_000_000)
"""


def test_a_file_is_replaced_and_its_folders_are_made(place):
    path = place / "a" / "b" / "file"
    write_bytes(path, b"old")
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_a_disk_that_takes_no_more_says_so_and_the_old_content_stays(tmp_path):
    write_bytes(tmp_path / "file", b"old")
    run = subprocess.run([sys.executable, "-c", LIMITED, tmp_path / "file"], capture_output=True, text=True)
    assert run.returncode == 1 and "free some space" in run.stderr and str(tmp_path / "file") in run.stderr
    assert (tmp_path / "file").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]  # the unfinished bytes went, so that the disk is less full


def test_of_many_writers_exactly_one_creates_the_file(place):
    won = []

    def create(number):
        try:
            create_bytes(place / "file", str(number).encode())
            won.append(number)
        except FileExistsError:
            pass

    writers = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert (place / "file").read_bytes() == str(won[0]).encode() and len(won) == 1


def test_what_a_killed_write_left_is_overwritten_by_the_next(tmp_path):
    (tmp_path / ".file.writing").write_bytes(b"a longer unfinished content")
    write_bytes(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new" and os.listdir(tmp_path) == ["file"]


def test_a_creation_killed_before_it_cleaned_up_cannot_spoil_the_file(tmp_path):
    create_bytes(tmp_path / "file", b"first")
    os.link(tmp_path / "file", tmp_path / ".file.writing")  # killed between the link and the removal of the hidden name
    with pytest.raises(FileExistsError):
        create_bytes(tmp_path / "file", b"second")
    (tmp_path / "kept").hardlink_to(tmp_path / "file")
    write_bytes(tmp_path / "file", b"third")
    assert (tmp_path / "kept").read_bytes() == b"first" and (tmp_path / "file").read_bytes() == b"third"


def test_a_claim_is_held_until_released(tmp_path):
    claim = Claim(tmp_path / ".a.writing")
    assert Claim.is_held(tmp_path / ".a.writing")
    claim.release()
    assert not Claim.is_held(tmp_path / ".a.writing")


def test_a_claim_of_a_dead_process_is_free(tmp_path):
    dying = (
        "import os, pathlib, sys; from plate_assets.storage.files import Claim; Claim(pathlib.Path(sys.argv[1])); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", dying, str(tmp_path / ".a.writing")])
    assert (tmp_path / ".a.writing").exists()
    assert not Claim.is_held(tmp_path / ".a.writing")


def test_a_folder_that_may_not_be_written_is_an_error_of_the_system(tmp_path):
    (tmp_path / "file").write_bytes(b"in the way")
    with pytest.raises(OSError, match="file"):
        write_bytes(tmp_path / "file" / "below", b"new")
    assert issubclass(StorageError, OSError)
