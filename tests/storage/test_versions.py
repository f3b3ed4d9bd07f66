"""A folder of several files is replaced as a whole, or not at all."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from plate_assets.storage.files import StorageError
from plate_assets.storage.versions import POINTER, current_version, new_version

WRITING_FOR_EVER = """
import sys
from plate_assets.storage.versions import new_version
for number in range(10**6):
    with new_version(sys.argv[1]) as version:
        for part in "ab":
            (version / part).write_text(f"{number} " * 20_000)
    print(number, flush=True)
"""
FULL_DISK = """
import resource, sys
from plate_assets.storage.files import write_bytes
from plate_assets.storage.versions import new_version
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
with new_version(sys.argv[1]) as version:
    write_bytes(version / "a", b"new" * 1_000_000)
"""


def write(folder, text):
    with new_version(folder) as version:
        (version / "a").write_text(text)


def versions_in(folder):
    return [entry.name for entry in folder.iterdir() if entry.is_dir()]


def test_a_reader_finds_the_version_that_was_finished_last(place):
    for text in ("first", "second", "third"):
        write(place, text)
    assert (current_version(place) / "a").read_text() == "third"


def test_the_version_before_stays_for_readers_in_flight_and_older_ones_go(place):
    write(place, "first")
    for text in ("second", "third"):
        in_flight = current_version(place)
        write(place, text)
        assert (in_flight / "a").exists()
    assert len(versions_in(place)) == 2


def test_where_nothing_was_written_there_is_no_version(place):
    with pytest.raises(FileNotFoundError, match="nothing was written whole"):
        current_version(place / "empty")


def test_a_write_that_fails_leaves_the_version_before_and_no_litter(place):
    write(place, "old")
    with pytest.raises(RuntimeError, match="midway"), new_version(place) as version:
        (version / "a").write_text("half")
        raise RuntimeError("midway")
    assert (current_version(place) / "a").read_text() == "old" and len(versions_in(place)) == 1


def test_a_full_disk_is_named_with_its_remedy_and_the_version_before_stays(tmp_path):
    write(tmp_path, "old")
    run = subprocess.run([sys.executable, "-c", FULL_DISK, tmp_path], capture_output=True, text=True)
    assert run.returncode == 1 and "free some space" in run.stderr and str(tmp_path) in run.stderr
    assert (current_version(tmp_path) / "a").read_text() == "old" and len(versions_in(tmp_path)) == 1


@pytest.mark.parametrize("pause", [0.0, 0.003, 0.006, 0.01, 0.02])
def test_a_writer_killed_at_any_moment_leaves_a_whole_version_and_the_next_write_tidies_up(tmp_path, pause):
    writer = subprocess.Popen([sys.executable, "-c", WRITING_FOR_EVER, tmp_path], stdout=subprocess.PIPE, text=True)
    for _ in range(3):  # whole versions are there
        writer.stdout.readline()
    time.sleep(pause)
    os.kill(writer.pid, signal.SIGKILL)
    last = [line.strip() for line in [*writer.communicate()[0].splitlines()] if line.strip()]
    found = current_version(tmp_path)
    a, b = ((found / part).read_text() for part in "ab")
    assert a == b and int(a.split()[0]) >= max([2, *map(int, last)])
    write(tmp_path, "after")
    assert len(versions_in(tmp_path)) == 2 and not list(tmp_path.glob(".*.writing"))


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[1]", b'{"current": "../../etc", "previous": null, "format": "plate_assets.versions/1"}']
)
def test_a_pointer_that_something_else_wrote_is_refused_and_the_next_write_mends_it(place, content):
    write(place, "old")
    (place / POINTER).write_bytes(content)
    with pytest.raises(StorageError, match="does not name a version"):
        current_version(place)
    write(place, "new")
    assert (current_version(place) / "a").read_text() == "new"


def test_of_two_writers_at_the_same_time_the_last_to_finish_is_current(place):
    with new_version(place) as slow:
        (slow / "a").write_text("slow")
        write(place, "fast")
        assert (current_version(place) / "a").read_text() == "fast"
    assert (current_version(place) / "a").read_text() == "slow"
    assert json.loads((place / POINTER).read_text())["previous"] is not None
