"""A stack: a table and its pixels, row for row."""

import tracemalloc

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plate_assets.storage import arrays
from plate_assets.storage.arrays import StackError, read_stack, read_stack_provenance, write_stack
from plate_assets.storage.tables import Provenance
from plate_assets.storage.versions import current_version


def blocks(sizes, shape=(6, 5), dtype=np.uint8):
    """One block for each size; pixel values tell the row."""
    start = 0
    for size in sizes:
        numbers = np.arange(start, start + size)
        yield (
            pl.DataFrame({"number": numbers}),
            np.broadcast_to((numbers % 251).reshape(-1, 1, 1), (size, *shape)).astype(dtype),
        )
        start += size


def whole(sizes):
    parts = list(blocks(sizes))
    return np.concatenate([pixels for _, pixels in parts]) if parts else np.empty((0, 1, 1), np.uint8)


@pytest.mark.parametrize("sizes", [[], [0], [3], [4, 4, 4], [4, 0, 7, 1], [0, 5]])
def test_a_stack_comes_back_in_order(place, rows, sizes):
    assert write_stack(place / "patches", blocks(sizes), rows, Provenance({"a": "b"})) == sum(sizes)
    stack = read_stack(place / "patches", rows)
    assert stack.table["number"].to_list() == list(range(sum(sizes)))
    assert np.array_equal(np.asarray(stack.array), whole(sizes) if sum(sizes) else np.asarray(stack.array))
    assert len(stack.array) == sum(sizes) and stack.array.dtype == np.uint8
    assert read_stack_provenance(place / "patches") == Provenance({"a": "b"})


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 9), max_size=12), st.integers(1, 200), st.integers(1, 400))
def test_whatever_the_blocks_and_the_chunks_the_rows_are_the_same(tmp_path, rows, monkeypatch, sizes, chunk, shard):
    monkeypatch.setattr(arrays, "CHUNK_BYTES", chunk)
    monkeypatch.setattr(arrays, "SHARD_BYTES", shard)
    write_stack(tmp_path, blocks(sizes), rows, Provenance())
    stack = read_stack(tmp_path, rows)
    assert stack.table.height == sum(sizes)
    if sum(sizes):
        assert np.array_equal(np.asarray(stack.array), whole(sizes))


def test_slices_are_numpys(tmp_path, rows):
    write_stack(tmp_path, blocks([4, 4, 3]), rows, Provenance())
    array, expected = read_stack(tmp_path, rows).array, whole([4, 4, 3])
    for selection in (
        5,
        -1,
        slice(2, 9),
        slice(None, None, 3),
        [7, 0, 7],
        np.arange(11) % 2 == 0,
        (slice(1, 3), 2),
        ([1, 2], 0, 3),
    ):
        assert np.array_equal(array[selection], expected[selection])
    with pytest.raises(IndexError):
        array[[11]]


def test_blocks_that_do_not_fit_name_the_block_and_the_stack_before_stays(tmp_path, rows):
    write_stack(tmp_path, blocks([2]), rows, Provenance())
    wide, short = next(blocks([2], dtype=np.uint16)), (pl.DataFrame({"number": [9]}), np.zeros((2, 6, 5), np.uint8))
    for bad, said in ((wide, "block 1 has uint16"), (short, "block 1: the table has 1 rows and the pixels 2")):
        with pytest.raises(StackError, match=said):
            write_stack(tmp_path, [next(blocks([4])), bad], rows, Provenance())
    assert np.array_equal(np.asarray(read_stack(tmp_path, rows).array), whole([2]))
    assert len(list(tmp_path.iterdir())) == 2  # the pointer and one version: nothing of the failed writes


def test_an_error_of_the_source_passes_and_leaves_the_stack_before(place, rows):
    def broken():
        yield next(blocks([4]))
        raise FileNotFoundError("image gone")

    write_stack(place / "s", blocks([2]), rows, Provenance())
    with pytest.raises(FileNotFoundError, match="image gone"):
        write_stack(place / "s", broken(), rows, Provenance())
    assert len(read_stack(place / "s", rows).array) == 2


def test_a_reader_in_flight_survives_one_write_and_is_told_after_two(place, rows):
    write_stack(place / "s", blocks([5]), rows, Provenance())
    stack = read_stack(place / "s", rows)
    write_stack(place / "s", blocks([9]), rows, Provenance())
    assert np.array_equal(stack.array[:], whole([5]))
    write_stack(place / "s", blocks([3]), rows, Provenance())
    with pytest.raises(StackError, match="read the stack again"):
        stack.array[:]
    versions = [entry for entry in (place / "s").iterdir() if entry.name != "current.json"]
    assert len(versions) == 2


def test_lost_pixels_are_an_error_and_not_black_images(tmp_path, rows):
    write_stack(tmp_path, blocks([5]), rows, Provenance())
    next(path for path in (current_version(tmp_path) / "pixels.zarr" / "c").rglob("*") if path.is_file()).unlink()
    with pytest.raises(StackError, match="lost pixels.*materialise the asset `rows`"):
        read_stack(tmp_path, rows)


def test_a_stack_that_was_never_written_whole_says_so(tmp_path, rows):
    with pytest.raises(FileNotFoundError, match="nothing was written whole"):
        read_stack(tmp_path / "patches", rows)


def test_memory_does_not_grow_with_the_number_of_blocks(tmp_path, rows):
    def peak(n_blocks):
        tracemalloc.start()
        write_stack(tmp_path / "s", blocks([12] * n_blocks, shape=(240, 240)), rows, Provenance())
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak(4)  # imports
    small, large = peak(40), peak(160)
    assert large < small + 4e6 and large < 6 * arrays.SHARD_BYTES


def test_rows_by_number_take_no_more_memory_than_they_have_and_a_shard(tmp_path, rows):
    write_stack(tmp_path, blocks([12] * 40, shape=(240, 240)), rows, Provenance())
    array, some = read_stack(tmp_path, rows).array, np.arange(0, 480, 3)
    array[some[:2]]  # imports
    tracemalloc.start()
    pixels = array[some]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.array_equal(pixels[:, 0, 0], some % 251)
    assert peak < pixels.nbytes + 3 * arrays.SHARD_BYTES
