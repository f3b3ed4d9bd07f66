"""The console of a long command: few lines for the person, everything else in the log."""

import contextlib
import io
import sys

import pytest
import typer

from plate_assets.cli.console import bar, console_beside


class Terminal(io.StringIO):
    """Standard error with a person before it."""

    def isatty(self) -> bool:
        return True


def test_what_others_print_goes_to_the_log_and_what_is_said_to_both(tmp_path, capsys):
    with console_beside(tmp_path / "log") as console:
        print("chatter")
        print("more of it", file=sys.stderr)
        console.say("ten plates let in")
    out, err = capsys.readouterr()
    assert out == "ten plates let in\n" and not err
    log = (tmp_path / "log").read_text()
    assert all(text in log for text in ("chatter", "more of it", "ten plates let in"))


def test_a_second_attempt_keeps_the_log_of_the_first(tmp_path):
    for text in ("first", "second"):
        with console_beside(tmp_path / "log") as console:
            console.say(text)
    assert (tmp_path / "log").read_text() == "first\nsecond\n"


def test_on_a_terminal_a_bar_is_rewritten_and_makes_room_for_a_line(tmp_path, capsys):
    with contextlib.redirect_stderr(Terminal()) as terminal, console_beside(tmp_path / "log") as console:
        report = console.progress("wells")
        report(1, 4)
        report(2, 4)
        console.say("done")
    assert terminal.getvalue() == f"\r\033[K{bar(1, 4, 'wells')}\r\033[K{bar(2, 4, 'wells')}\r\033[K"
    assert capsys.readouterr().out == "done\n"


def test_where_no_person_watches_fast_work_prints_no_progress(tmp_path, capsys):
    with console_beside(tmp_path / "log") as console:
        for done in range(1_000):
            console.progress("wells")(done, 1_000)
    assert capsys.readouterr() == ("", "")


def test_a_bar_is_full_when_all_is_done_and_empty_of_nothing():
    assert bar(4, 4, "wells") == "[####################] 4 of 4 wells"
    assert bar(1, 4, "wells") == "[#####...............] 1 of 4 wells"
    assert bar(0, 0, "wells") == "[....................] 0 of 0 wells"


def test_an_error_is_one_line_and_the_place_of_the_log_where_its_traceback_is(tmp_path, capsys):
    with pytest.raises(typer.Exit) as ended, console_beside(tmp_path / "log"):
        raise RuntimeError("the disk is full")
    assert ended.value.exit_code == 1
    assert capsys.readouterr().err.splitlines() == [
        "plate-assets: RuntimeError: the disk is full", f"All that happened is in {tmp_path / 'log'}",
    ]  # fmt: skip
    assert "Traceback" in (tmp_path / "log").read_text()
