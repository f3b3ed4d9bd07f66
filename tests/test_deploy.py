"""What `deploy/` promises for one machine: the environment file and the units.

Belongs here: that these files say what the code does. Not here: the pages that people read (`test_docs`), the package
(`test_packaging`).
"""

import re
import shlex
import sys
from pathlib import Path

import pytest
import yaml
from pydantic import SecretStr

from plate_assets.orchestration.sciences import model_kinds
from plate_assets.settings import Settings, variable

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
EXAMPLE = (DEPLOY / "plate-assets.env.example").read_text()
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
PLACE = "/opt/plate-assets/"


def entries() -> dict[str, tuple[str, str]]:
    """Variable -> the comment above it and the value, whether it stands behind a `#` or not."""
    found = re.findall(r"^# (.*)\n#?([A-Z_]+)=(.*)$", EXAMPLE, flags=re.M)
    return {name: (comment, "".join(shlex.split(value))) for comment, name, value in found}


def variables(setting: str) -> list[str]:
    """The variables of a setting: one for each science where it holds them all."""
    return [
        variable(setting).replace("<SCIENCE>", science.upper()) for science in (model_kinds() if setting == "models" else [""])
    ]


def as_text(value: object) -> str:
    if value is None or value == {}:
        return ""
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def unit(path: Path) -> dict[str, list[str]]:
    """A unit's directives; one that may stand several times keeps all its values."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", path.read_text(), flags=re.M):
        found.setdefault(name, []).append(value)
    return found


def test_the_example_has_every_setting_with_its_meaning():
    described = {name: field.description for setting, field in Settings.model_fields.items() for name in variables(setting)}
    ours = {name: comment for name, (comment, _) in entries().items() if name in described}
    assert ours == described


def test_the_example_has_every_variable_that_the_code_reads_past_the_settings():
    source = "\n".join(path.read_text() for path in (ROOT / "plate_assets").rglob("*.py"))
    read = set(re.findall(r"environ(?:\.get\(|\[)[\"']([A-Z_]+)", source)) | set(re.findall(r"getenv\([\"']([A-Z_]+)", source))
    assert read <= entries().keys() | {"PATH", "HOME"}


def test_the_example_shows_the_defaults():
    given = {name: value for name, (_, value) in entries().items()}
    fields = {name: field for setting, field in Settings.model_fields.items() for name in variables(setting)}
    del fields["PLATE_ASSETS_HOME"]
    shown, defaults = {name: given[name] for name in fields}, {name: as_text(field.default) for name, field in fields.items()}
    assert {name: value.lower() for name, value in shown.items()} == {name: value.lower() for name, value in defaults.items()}


def test_the_example_can_be_used_as_it_is(monkeypatch):
    """With every `#` taken off, the values are what the settings accept, and mean the defaults."""
    defaults = Settings()
    for name, (_, value) in entries().items():
        monkeypatch.setenv(name, value)
    assert Settings().model_copy(update={"home": defaults.home}) == defaults


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_a_unit_comes_back_and_reads_the_environment_file(path):
    directives = unit(path)
    assert directives["Restart"] == ["always"] and directives["StartLimitIntervalSec"] == ["0"]
    assert directives["EnvironmentFile"] == ["/etc/plate-assets/plate-assets.env"]
    assert directives["WantedBy"] == ["multi-user.target"]


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_a_unit_starts_what_is_installed_with_files_that_are_there(path):
    [command] = unit(path)["ExecStart"]
    program, *arguments = shlex.split(command)
    assert Path(sys.executable).with_name(Path(program).name).exists(), f"{program} comes with no dependency of this project"
    named = [argument.removeprefix(PLACE) for argument in arguments if argument.startswith(PLACE)]
    assert named and all((ROOT / name).is_file() for name in named)


def test_the_webserver_is_open_to_its_own_machine_only():
    command = shlex.split(unit(DEPLOY / "systemd" / "plate-assets-webserver.service")["ExecStart"][0])
    assert command[command.index("--host") + 1] == "127.0.0.1"


def test_the_daemon_brings_the_configuration_to_where_dagster_reads_it():
    before = unit(DEPLOY / "systemd" / "plate-assets-daemon.service")["ExecStartPre"]
    assert before[-1].split()[-2:] == [f"{PLACE}dagster.yaml", "${DAGSTER_HOME}/dagster.yaml"]


def test_the_workspace_names_a_module_that_is_there():
    [location] = yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"]
    module = location["python_module"]["module_name"]
    assert (ROOT / (module.replace(".", "/") + ".py")).is_file()
