"""A new science costs its room, its assets, its command file and one line in SCIENCES: nothing else of the house is touched.

The house is copied, the toy's files are put in and the line is added; then a night passes in it (`toy_science/night.py`).
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parent.parent
TOY = ROOT / "tests" / "toy_science"
LINE = '    Science("brightness"),\n'


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> Path:
    """A copy of the package with the toy science in it."""
    house = tmp_path_factory.mktemp("house")
    shutil.copytree(ROOT / "plate_assets", house / "plate_assets", ignore=shutil.ignore_patterns("__pycache__"))
    added = [path for path in (TOY / "house").rglob("*.py")]
    assert not [path for path in added if (house / path.relative_to(TOY / "house")).exists()], (
        "a toy's file replaces one of ours"
    )
    shutil.copytree(TOY / "house", house, dirs_exist_ok=True)
    sciences = house / "plate_assets" / "orchestration" / "sciences.py"
    before = sciences.read_text()
    sciences.write_text(before.replace('    Science("drift"),\n', '    Science("drift"),\n' + LINE))
    assert sciences.read_text() == before.replace('    Science("drift"),\n', '    Science("drift"),\n' + LINE) != before
    return house


def test_a_toy_science_goes_through_a_night_by_its_own_files_and_one_line(house, tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PLATE_ASSETS_", "DAGSTER_"))}
    done = subprocess.run(
        [sys.executable, str(TOY / "night.py"), str(tmp_path)], cwd=house, capture_output=True, text=True, timeout=900,
        env=environment | {"PYTHONPATH": f"{house}{os.pathsep}{ROOT}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == [
        "arrival", "training, review, champion", "staleness", "morning page", "command",
    ]  # fmt: skip
