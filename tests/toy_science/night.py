"""A laboratory with the toy science through a night, in the house that was copied for it: arrival, training, review, champion,
staleness, morning page. Run by `tests/test_toy_science.py`; the argument is the laboratory's home."""

import sys
from pathlib import Path

import dagster as dg
from typer.testing import CliRunner

from plate_assets.cli import app
from plate_assets.orchestration.doctor import examine
from plate_assets.plates.simulate import SimulationSettings, simulate_plates
from tests.made_labs import opened_lab

TOYS = {"well_brightness", "bright_wells"}


def asked(requests) -> dict[str, tuple[set[str], str]]:
    """The toy's part of what was requested for each plate, with the reason."""
    if isinstance(requests, dg.SkipReason):
        return {}
    found = {
        request.partition_key: ({key.path[-1] for key in request.asset_selection} & TOYS, request.tags["plate_assets/reason"])
        for request in requests
    }
    return {key: (assets, reason) for key, (assets, reason) in found.items() if assets}


def command(home: Path, *arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments), env={"PLATE_ASSETS_HOME": str(home)})
    assert done.exit_code == 0, done.output
    return done.output


def main(home: Path) -> None:
    simulate_plates(home / "made", SimulationSettings(plates=2, timepoints_h=(24.0,), layout="operetta", quadruplets=1))
    (home / "arrivals").mkdir()
    with opened_lab(home) as lab:
        folders = sorted((home / "made").glob("SIM*"))
        plates = {folder.name for folder in folders}
        for folder in folders:
            folder.rename(home / "arrivals" / folder.name)
        looks = [lab.tick("plate_arrivals") for _ in range(lab.settings.settle_looks)]
        for request in [request for look in looks for request in look.run_requests or ()]:
            lab.run("plate_chain", request)
        requests = lab.night()
        assert asked(requests) == dict.fromkeys(plates, ({"well_brightness"}, "not made yet")), asked(requests)
        for request in requests:
            lab.run("plate_chain", request)
        print("arrival: measured, and nothing judged without a champion")

        lab.run_plain("train_brightness")
        assert "champion: limit" in {finding.what for finding in examine(lab.settings) if not finding.ok}
        command(home, "promote", "--kind", "brightness", "--reason", "the first", "--author", "ann")
        seen = lab.tick("brightness_champion_moved")
        assert not seen.run_requests, "what nobody judged yet is the night's work"
        requests = lab.night()
        assert asked(requests) == dict.fromkeys(plates, ({"bright_wells"}, "not made yet")), asked(requests)
        for request in requests:
            done = lab.try_run("plate_chain", request)
            assert done.success and all(check.passed for check in done.get_asset_check_evaluations())
        assert isinstance(lab.night(), dg.SkipReason)
        assert "champion: limit" in {finding.what for finding in examine(lab.settings) if finding.ok}
        print("training, review, champion: judged once")

        plate = min(plates).partition("_")[0]
        command(home, "exclude", plate, "B02", "--reason", "dust", "--author", "ann")
        assert asked(lab.night()) == {min(plates): ({"bright_wells"}, "exclusions changed")}
        lab.run_plain("train_brightness")
        command(home, "promote", "--kind", "brightness", "--reason", "the second", "--author", "ann")
        moved = asked(lab.tick("brightness_champion_moved", seen.cursor).run_requests)
        said = "limit was models:/brightness-limit/1, is models:/brightness-limit/2"
        assert moved[max(plates)] == ({"bright_wells"}, said) and said in moved[min(plates)][1], moved
        print("staleness: a decision and another champion, each said")

        lab.run_plain("morning")
        page = (lab.storage.morning_page / "morning.html").read_text()
        assert "Bright wells" in page and "8 wells judged" in page
        assert said in page
        print("morning page: its section, and why results are stale")
        assert "of full scale" in command(home, "brightness", str(home / "arrivals" / min(plates)))
        print("command: answered")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
