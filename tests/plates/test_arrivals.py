"""The decision on arrivals: what starts, waits, is refused or broken; and that a slow copy never starts early."""

import os
import random

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from upath import UPath

from plate_assets.plates.arrivals import Ledger, Seen, decide
from plate_assets.plates.arrivals_scan import scan_arrivals, slice_of
from plate_assets.plates.listing import ListingError

HARMONY = [f"r01c0{col}f01p01-ch1sk1fk1fl1.tiff" for col in (1, 2, 3)]
PIXELS = np.arange(64, dtype=np.uint16).reshape(8, 8)


def flat(root, name, wells=("A01", "A02")):
    for well in wells:
        (root / name).mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(root / name / f"{well}.tif", PIXELS)


def index(names):
    images = "".join(
        f"<Image><id>{n}</id><URL>{url}</URL><Row>1</Row><Col>{n}</Col><FieldID>1</FieldID><PlaneID>1</PlaneID>"
        "<TimepointID>0</TimepointID><ChannelID>1</ChannelID><ChannelName>BF</ChannelName></Image>"
        for n, url in enumerate(names, start=1)
    )
    return (
        '<?xml version="1.0"?><EvaluationInputData xmlns="http://www.perkinelmer.com/PEHH/HarmonyV5"><Plates><Plate>'
        "<PlateID>P1</PlateID><PlateRows>2</PlateRows><PlateColumns>3</PlateColumns></Plate></Plates>"
        f"<Images>{images}</Images></EvaluationInputData>"
    ).encode()


class Sensor:
    """What the sensor does between its looks, without Dagster."""

    def __init__(self, root, settle_looks=3):
        self.root, self.settle_looks = UPath(root), settle_looks
        self.known: dict[str, str | None] = {}
        self.ledger = Ledger()

    def look(self, run=True):
        scan = scan_arrivals(self.root, self.known, self.ledger)
        decision = decide(scan.seen, self.known, scan.ledger, self.settle_looks)
        self.ledger = Ledger.from_json(decision.ledger.to_json())
        if run:
            self.known |= {seen.acquisition_id: None for seen in decision.start}
        return decision, scan


def started(decision):
    return [seen.acquisition_id for seen in decision.start]


def test_a_flat_folder_starts_when_it_stayed_the_same_over_three_looks_and_then_never_again(tmp_path):
    flat(tmp_path, "P001_096h")
    sensor = Sensor(tmp_path)
    assert [started(sensor.look()[0]) for _ in range(6)] == [[], [], ["P001_096h"], [], [], []]


def test_a_folder_renamed_in_while_the_sensor_was_down_starts(tmp_path):
    flat(tmp_path, "P001_096h")
    sensor = Sensor(tmp_path)
    for _ in range(3):
        sensor.look()
    flat(tmp_path / "elsewhere", "P002_096h")
    (tmp_path / "elsewhere" / "P002_096h").rename(tmp_path / "P002_096h")
    (tmp_path / "elsewhere").rmdir()
    assert [started(sensor.look()[0]) for _ in range(3)][-1] == ["P002_096h"]


def test_a_start_is_said_again_until_the_run_made_it_known(tmp_path):
    flat(tmp_path, "P001_096h")
    sensor = Sensor(tmp_path)
    looks = [sensor.look(run=False)[0] for _ in range(5)]
    assert [started(look) for look in looks] == [[], [], ["P001_096h"], ["P001_096h"], ["P001_096h"]]
    assert len({look.start[0].signature for look in looks[2:]}) == 1


def test_new_bytes_under_a_known_id_are_refused_and_the_folder_is_named(tmp_path):
    flat(tmp_path, "P001_096h")
    sensor = Sensor(tmp_path)
    for _ in range(4):
        sensor.look()
    tifffile.imwrite(tmp_path / "P001_096h" / "A03.tif", PIXELS)
    decision, _ = sensor.look()
    assert not decision.start and "P001_096h was registered with" in decision.refuse[0].reason
    (tmp_path / "P001_096h" / "A03.tif").unlink()
    assert sensor.look()[0].refuse == ()


def test_bytes_that_change_between_the_start_and_the_first_look_after_the_run_are_refused_too(tmp_path):
    flat(tmp_path, "P001_096h")
    sensor = Sensor(tmp_path)
    for _ in range(3):
        sensor.look()
    tifffile.imwrite(tmp_path / "P001_096h" / "A03.tif", PIXELS)
    assert [judged.seen.place for judged in sensor.look()[0].refuse] == ["P001_096h"]


def test_a_known_folder_that_is_renamed_is_the_same_acquisition(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "Index.idx.xml").write_bytes(index(["x.tif"]))
    tifffile.imwrite(tmp_path / "a" / "x.tif", PIXELS)
    sensor = Sensor(tmp_path)
    for _ in range(4):
        sensor.look()
    (tmp_path / "a").rename(tmp_path / "b")
    decision, _ = sensor.look()
    assert (decision.start, decision.refuse, decision.wait) == ((), (), ())
    assert sensor.ledger.place_of("P1_t0") == "b"


def test_two_folders_with_one_id_are_both_named_and_the_second_is_refused(tmp_path):
    flat(tmp_path, "P001_096h")
    flat(tmp_path, "p001_096H")
    sensor = Sensor(tmp_path)
    for _ in range(4):
        decision, _ = sensor.look()
        assert [judged.seen.place for judged in decision.refuse] == ["p001_096H"] or not decision.refuse
    refused = decide([s for s in scan_arrivals(UPath(tmp_path), {}, Ledger()).seen], {}, Ledger()).refuse
    assert "P001_096h and p001_096H" in refused[0].reason
    assert list(sensor.known) == ["P001_096h"]


def test_a_failed_read_is_a_skip_with_its_reason_and_never_empty(tmp_path):
    with pytest.raises(ListingError, match="cannot be listed"):
        scan_arrivals(UPath(tmp_path / "not mounted"), {}, Ledger())
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "readme.txt").write_text("x")
    flat(tmp_path, "P001_096h")
    sensor = Sensor(tmp_path)
    decisions = [sensor.look()[0] for _ in range(3)]
    assert started(decisions[-1]) == ["P001_096h"]
    assert "no TIFF, PNG or JPEG" in decisions[-1].broken[0].reason


def test_a_disk_that_is_not_mounted_for_a_while_forgets_no_signature(tmp_path):
    flat(tmp_path / "disk", "P001_096h")
    sensor = Sensor(tmp_path / "disk")
    for _ in range(4):
        sensor.look()
    (tmp_path / "disk").rename(tmp_path / "away")
    (tmp_path / "disk").mkdir()
    sensor.look()
    (tmp_path / "disk").rmdir()
    (tmp_path / "away").rename(tmp_path / "disk")
    tifffile.imwrite(tmp_path / "disk" / "P001_096h" / "A03.tif", PIXELS)
    assert [judged.seen.place for judged in sensor.look()[0].refuse] == ["P001_096h"]


def test_a_broken_folder_that_is_mended_starts(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "Index.idx.xml").write_bytes(index(["x.tif"])[:-30])
    tifffile.imwrite(tmp_path / "a" / "x.tif", PIXELS)
    sensor = Sensor(tmp_path)
    for _ in range(8):
        assert "still being copied" in sensor.look()[0].broken[0].reason
    (tmp_path / "a" / "Index.idx.xml").write_bytes(index(["x.tif"]))
    assert [started(sensor.look()[0]) for _ in range(2)] == [[], ["P1_t0"]]


def test_a_link_to_a_folder_elsewhere_is_not_followed(tmp_path):
    flat(tmp_path / "outside", "P001_096h")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "P001_096h").symlink_to(tmp_path / "outside" / "P001_096h")
    decision, _ = Sensor(tmp_path / "in").look()
    assert "is a link" in decision.broken[0].reason


def test_the_vendors_own_end_marker_is_enough_alone_and_a_list_needs_one_look_more():
    marked = Seen("a", "A_t0", "1", complete=True, marked=True)
    listed = Seen("b", "B_t0", "1", complete=True)
    first = decide([marked, listed], {}, Ledger())
    assert started(first) == ["A_t0"] and "1 of 2 looks" in first.wait[0].reason
    assert started(decide([listed], {}, first.ledger)) == ["B_t0"]


def test_what_the_list_names_and_the_folder_lacks_is_waited_for_by_name():
    seen = Seen("a", "A_t0", "1", complete=False, missing=("x.tif", "y.tif"))
    ledger = Ledger()
    for _ in range(10):
        decision = decide([seen], {}, ledger)
        ledger = decision.ledger
    assert not decision.start and "2 images" in decision.wait[0].reason and "x.tif" in decision.wait[0].reason


SEENS = st.lists(
    st.builds(
        Seen,
        place=st.text("abc", min_size=1, max_size=2),
        acquisition_id=st.one_of(st.none(), st.sampled_from(["A_t0", "a_T0", "B_t0", "C_t0"])),
        signature=st.sampled_from(["1", "2"]),
        activity=st.sampled_from(["", "x"]),
        complete=st.sampled_from([True, False, None]),
        marked=st.booleans(),
        missing=st.sampled_from([(), ("x.tif",)]),
        error=st.sampled_from([None, "cannot be read"]),
        transient=st.booleans(),
    ),
    max_size=6,
    unique_by=lambda seen: seen.place,
)


@given(st.lists(SEENS, min_size=1, max_size=6))
def test_looking_twice_starts_nothing_new(looks):
    ledger, known = Ledger(), {}
    for seen in looks:
        decision = decide(seen, known, ledger)
        ledger, known = decision.ledger, known | {each.acquisition_id: None for each in decision.start}
    again = decide(looks[-1], known, ledger)
    refused_before = {judged.seen.place for judged in decision.refuse}
    fresh = {each.place for each in again.start} - {judged.seen.place for judged in decision.wait}
    assert not fresh and not {j.seen.place for j in again.refuse} - refused_before
    assert len({each.acquisition_id.casefold() for each in (*decision.start, *again.start)}) == len(
        {*decision.start, *again.start}
    )


@given(st.lists(SEENS, min_size=1, max_size=4))
def test_every_folder_gets_exactly_one_answer_and_the_ledger_survives_its_json(looks):
    ledger, known = Ledger(), {}
    for seen in looks:
        decision = decide(seen, known, ledger)
        answers = [each.place for each in decision.start]
        answers += [j.seen.place for j in (*decision.wait, *decision.refuse, *decision.broken)]
        assert len(answers) == len(set(answers)) and all(j.reason for j in (*decision.wait, *decision.refuse, *decision.broken))
        quiet = {each.place for each in seen} - set(answers)
        assert quiet <= {each.place for each in seen if each.acquisition_id in known}
        assert Ledger.from_json(decision.ledger.to_json()) == decision.ledger
        ledger, known = decision.ledger, known | {each.acquisition_id: None for each in decision.start}


@settings(max_examples=60, deadline=None)
@given(st.permutations(["Index.idx.xml", *HARMONY]), st.data())
def test_a_copy_in_any_order_never_starts_early_and_always_starts_at_last(tmp_path_factory, order, data):
    root = tmp_path_factory.mktemp("arrivals")
    folder = root / "plate"
    folder.mkdir()
    content = {name: b"pixels" * 4 for name in order} | {"Index.idx.xml": index(HARMONY)}
    sensor = Sensor(root)
    for name in order:
        for share in (0.5, 1.0):  # a named file that still grows is there already
            part = content[name][: int(len(content[name]) * share)]
            (folder / name).write_bytes(part)
            whole = all((folder / each).exists() and (folder / each).read_bytes() == content[each] for each in order)
            # A file at rest half way while the list is complete is what only the size can tell: one look for each step there.
            listed = all((folder / each).exists() for each in order)
            for _ in range(1 if listed else data.draw(st.integers(0, 4))):
                assert whole or started(sensor.look()[0]) == []
    starts = [started(sensor.look()[0]) for _ in range(3)]
    assert ["P1_t0"] in starts or "P1_t0" in sensor.known


@settings(max_examples=30, deadline=None)
@given(st.permutations(["A01", "A02", "A03", "B01"]), st.lists(st.integers(1, 2), min_size=8, max_size=8))
def test_a_flat_copy_that_moves_within_three_looks_never_starts_early(tmp_path_factory, order, pauses):
    root = tmp_path_factory.mktemp("arrivals")
    (root / "P_096h").mkdir()
    sensor = Sensor(root)
    for step, well in enumerate(order):
        for half, content in enumerate((b"abc", b"abcdef")):
            (root / "P_096h" / f"{well}.png").write_bytes(content)
            done = step == len(order) - 1 and half == 1
            for _ in range(0 if done else pauses[2 * step + half]):
                assert started(sensor.look()[0]) == []
    assert [started(sensor.look()[0]) for _ in range(3)] == [[], [], ["P_096h"]]


def test_a_temporary_file_that_still_grows_holds_a_quiet_folder_back(tmp_path):
    flat(tmp_path, "P001_096h")
    sensor = Sensor(tmp_path)
    for step in range(6):
        (tmp_path / "P001_096h" / ".A03.tif.Xy12Zq").write_bytes(b"x" * step)
        assert started(sensor.look()[0]) == []
    (tmp_path / "P001_096h" / ".A03.tif.Xy12Zq").unlink()
    assert [started(sensor.look()[0]) for _ in range(3)][-1] == ["P001_096h"]


@given(st.lists(st.text(min_size=1), unique=True, max_size=30), st.integers(0, 100), st.integers(1, 40))
def test_the_slice_goes_round_and_leaves_no_folder_out(names, position, size):
    seen, names = [], sorted(names)
    for _ in range(-(-len(names) // size)):
        turn, position = slice_of(names, position, size)
        assert len(turn) == min(size, len(names)) == len(set(turn))
        seen += turn
    assert set(seen) == set(names)


def test_ten_thousand_known_folders_are_named_and_only_the_new_one_and_a_slice_are_listed(tmp_path):
    ids = [f"P{number:05d}_096h" for number in range(10_000)]
    for name in ids:
        (tmp_path / name).mkdir()
    looks = [Seen(name, name, f"{random.Random(name).getrandbits(64):016x}", complete=True) for name in ids]
    known = dict.fromkeys(ids)
    ledger = Ledger()
    for _ in range(2):
        ledger = decide(looks, known, ledger).ledger
    flat(tmp_path, "NEW_096h")
    text = ledger.to_json()
    scan = scan_arrivals(UPath(tmp_path), known, Ledger.from_json(text), slice_size=50)
    print(f"{scan.folders} folders named, {scan.listed} listed, {scan.read} read, ledger {len(text):,} bytes")
    assert (scan.folders, scan.listed) == (10_001, 51) and scan.ledger.position == 50
    assert len(text) < 400_000
    assert "NEW_096h" in {seen.place for seen in scan.seen}


def test_a_settled_folder_is_found_changed_when_its_turn_comes(tmp_path):
    for number in range(6):
        flat(tmp_path, f"P{number}_096h", wells=("A01",))
    sensor = Sensor(tmp_path)
    for _ in range(4):
        sensor.look()
    os.utime(tmp_path / "P4_096h" / "A01.tif", (1, 1))
    refused = set()
    for _ in range(3):
        scan = scan_arrivals(sensor.root, sensor.known, sensor.ledger, slice_size=2)
        assert (scan.listed, scan.folders) == (2, 6)
        decision = decide(scan.seen, sensor.known, scan.ledger)
        sensor.ledger = decision.ledger
        refused |= {judged.seen.place for judged in decision.refuse}
    assert refused == {"P4_096h"}


def test_an_object_store_is_looked_at_as_a_disk_is():
    root = UPath("memory://arrivals")
    (root / "P001_096h").mkdir(parents=True, exist_ok=True)
    (root / "P001_096h" / "A01.png").write_bytes(b"x")
    sensor = Sensor("/")
    sensor.root = root
    assert [started(sensor.look()[0]) for _ in range(4)] == [[], [], ["P001_096h"], []]


def test_a_ledger_that_cannot_be_read_is_an_empty_one():
    assert Ledger.from_json("{not json") == Ledger.from_json(None) == Ledger.from_json('{"packed": "@@"}') == Ledger()


def timelapse(root, name, *timepoints):
    flat(root, name, [f"{well}_t{number}" for number in timepoints for well in ("A01", "A02")])


def test_a_folder_with_several_visits_gives_an_acquisition_for_each(tmp_path):
    timelapse(tmp_path, "timelapse", 1, 2)
    sensor = Sensor(tmp_path)
    assert [started(sensor.look()[0]) for _ in range(4)] == [[], [], ["timelapse_t1", "timelapse_t2"], []]
    assert sensor.ledger.place_of("timelapse_t2") == "timelapse//t2"


def test_a_visit_that_comes_later_starts_alone_and_leaves_the_others_known(tmp_path):
    timelapse(tmp_path, "timelapse", 1)
    sensor = Sensor(tmp_path)
    assert [started(sensor.look()[0]) for _ in range(4)] == [[], [], ["timelapse_t1"], []]
    timelapse(tmp_path, "timelapse", 2)
    looks = [sensor.look()[0] for _ in range(4)]
    assert [started(look) for look in looks] == [[], [], ["timelapse_t2"], []]
    timelapse(tmp_path, "timelapse", 3)
    looks += [sensor.look()[0] for _ in range(4)]
    assert [started(look) for look in looks[4:]] == [[], [], ["timelapse_t3"], []]
    assert not any(look.refuse or look.broken for look in looks)


def test_a_visit_whose_images_change_is_refused_and_the_others_are_not(tmp_path):
    timelapse(tmp_path, "timelapse", 1, 2)
    sensor = Sensor(tmp_path)
    for _ in range(4):
        sensor.look()
    tifffile.imwrite(tmp_path / "timelapse" / "A02_t2.tif", PIXELS[:4])
    assert [judged.seen.place for judged in sensor.look()[0].refuse] == ["timelapse//t2"]


def test_a_first_visit_that_changes_when_the_second_comes_is_refused(tmp_path):
    timelapse(tmp_path, "timelapse", 1)
    sensor = Sensor(tmp_path)
    for _ in range(4):
        sensor.look()
    tifffile.imwrite(tmp_path / "timelapse" / "A01_t1.tif", PIXELS[:4])
    timelapse(tmp_path, "timelapse", 2)
    looks = [sensor.look()[0] for _ in range(4)]
    assert [judged.seen.place for judged in looks[0].refuse] == ["timelapse//t1"]
    assert [started(look) for look in looks] == [[], [], ["timelapse_t2"], []]


def test_a_long_timelapse_is_read_over_several_looks_and_no_visit_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr("plate_assets.plates.arrivals_scan.VISITS_A_LOOK", 2)
    timelapse(tmp_path, "timelapse", *range(1, 6))
    sensor, got = Sensor(tmp_path), []
    for _ in range(12):
        got += started(sensor.look()[0])
    assert sorted(got) == [f"timelapse_t{number}" for number in range(1, 6)]


def test_a_defect_of_a_reader_is_told_and_keeps_no_other_folder_waiting(tmp_path, monkeypatch):
    from plate_assets.plates import arrivals_scan

    def broken(listing, options):
        if listing.root.name == "odd":
            raise KeyError("Row")
        return read(listing, options)

    read = arrivals_scan.read_listing
    monkeypatch.setattr(arrivals_scan, "read_listing", broken)
    flat(tmp_path, "odd")
    flat(tmp_path, "P1_024h")
    sensor = Sensor(tmp_path)
    looks = [sensor.look()[0] for _ in range(3)]
    assert started(looks[-1]) == ["P1_024h"]
    (judged,) = looks[0].broken
    assert judged.seen.defect and "a defect of its reader" in judged.reason and "KeyError" in judged.reason
