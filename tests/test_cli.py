"""The command: what a person can mend ends with one line that says how and exit code 2, never with a traceback."""

import json

import pytest
from typer.testing import CliRunner

from plate_assets.cli import app


def run(home, *arguments: str):
    return CliRunner().invoke(app, list(arguments), env={"PLATE_ASSETS_HOME": str(home)})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["score", "nowhere", "--out", "out"], "train a detector"),
        (["score", "nowhere", "--out", "out", "--model", "bundle"], "bundle"),
        (["inspect", "nowhere"], "nowhere"),
        (["promote"], "train a detector"),
        (["promote", "--rollback"], "champion"),
        (["exclude", "PLATE1", "A01"], "say why with --reason"),
        (["exclude", "PLATE1", "Z99x", "--reason", "dust"], "Z99x"),
        (["label", "normal"], "write it as 2=chemical"),
        (["expert-labels", "nowhere.csv"], "nowhere.csv"),
        (["simulate", "out", "--layout", "round"], "round"),
        (["simulate", "out", "--timepoints", "24,,96"], "write it as 024h, d04 or 96"),
        (["train-detector", "nowhere", "--out", "model"], "nowhere"),
    ],
)
def test_a_mistake_is_one_line_with_its_remedy(tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    done = run(tmp_path / "home", *arguments)
    assert done.exit_code == 2, done.output
    assert said in done.output and "Traceback" not in done.output


def test_inspect_prints_a_table_and_the_same_as_json(tmp_path):
    assert run(tmp_path, "simulate", str(tmp_path / "made"), "--quadruplets", "1", "--timepoints", "24").exit_code == 0
    (folder,) = (tmp_path / "made").glob("SIM*")
    found = json.loads(run(tmp_path, "inspect", str(folder), "--json").output)
    assert found["plate"] == "SIM00001" and len(found["wells"]) == 4
    assert "SIM00001" in run(tmp_path, "inspect", str(folder)).output


def test_the_doctor_ends_with_one_where_something_is_to_be_mended(tmp_path):
    done = run(tmp_path / "home", "doctor")
    assert done.exit_code == 1 and "MEND" in done.output
