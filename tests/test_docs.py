"""The documentation is whole and true: what the code declares is in it, its links lead somewhere, its pictures are small.

Belongs here: the README, `docs/`, and the pages of `deploy/`. Not here: the environment file and the units (`test_deploy`),
what is packaged (`test_packaging`).
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from plate_assets.cli import app
from plate_assets.orchestration.sciences import SCIENCES, model_kinds
from plate_assets.settings import Settings, variable

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PEOPLE = [ROOT / "README.md", *sorted(DOCS.glob("*.md")), *sorted((ROOT / "deploy").glob("*.md"))]
PAST_THE_SETTINGS = {"PLATE_ASSETS_AUTHOR", "PLATE_ASSETS_REAL_DATA"}  # who decides; real images for tests
README = (ROOT / "README.md").read_text()


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)


def links(page: Path) -> list[str]:
    """Where a page points to within the project, pictures included."""
    found = re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text()))
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def anchors(page: Path) -> set[str]:
    """The names that a page's headings have for a link, in GitHub's way of making them."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.*)$", without_code(page.read_text()), flags=re.M):
        name = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.add(next(f"{name}{end}" for end in ("", *(f"-{n}" for n in range(1, 99))) if f"{name}{end}" not in found))
    return found


def commands(group=None, name: str = "plate-assets") -> Iterator[str]:
    """Every command as it is typed, without a group that only holds others."""
    for part, command in getattr(group or get_command(app), "commands").items():  # noqa: B009  (a group's; its base has none)
        if hasattr(command, "commands"):
            yield from commands(command, f"{name} {part}")
        else:
            yield f"{name} {part}"


@pytest.fixture(scope="module")
def written() -> dict[str, str]:
    """The pages as `make docs` would write them now, by a process of its own, in which no test has declared anything."""
    program = "import json; from docs.pages import PAGES; print(json.dumps({name: page() for name, page in PAGES.items()}))"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", ["ASSETS.md", "COMMANDS.md", "LAYOUTS.md", "SETTINGS.md", "TABLES.md"])
def test_a_page_from_the_code_is_what_the_code_says(written, name):
    assert (DOCS / name).read_text() == written[name], "the code says something else now: run `make docs`"


def test_every_page_from_the_code_is_compared(written):
    assert written.keys() == {"ASSETS.md", "COMMANDS.md", "LAYOUTS.md", "SETTINGS.md", "TABLES.md"}


def test_every_setting_is_documented_with_its_meaning():
    page = (DOCS / "SETTINGS.md").read_text()
    silent = [name for name, field in Settings.model_fields.items() if f"`{variable(name)}`" not in page]
    assert not silent and all(field.description for field in Settings.model_fields.values())


def test_every_command_is_documented():
    headings = re.findall(r"^### (.*)$", (DOCS / "COMMANDS.md").read_text(), flags=re.M)
    assert sorted(set(headings)) == sorted(headings) == sorted(set(commands()))


def test_every_asset_job_sensor_and_schedule_is_documented_and_says_what_it_is():
    from plate_assets.definitions import build_definitions

    page = (DOCS / "ASSETS.md").read_text()
    definitions = build_definitions(Settings())
    names = [key.to_user_string() for key in definitions.get_repository_def().asset_graph.get_all_asset_keys()]
    names += [each.name for kind in ("jobs", "sensors", "schedules") for each in getattr(definitions, kind)]
    rows = dict(re.findall(r"^\| \[?`([\w ]+)`\S* \| ([^|]*) \|", page, flags=re.M))
    assert not [name for name in names if not rows.get(name, "").strip()]


@pytest.mark.parametrize("science", SCIENCES, ids=lambda science: science.name)
def test_the_architecture_names_every_science(science):
    assert f"  {science.name}/" in (DOCS / "ARCHITECTURE.md").read_text()


@pytest.mark.parametrize("page", PEOPLE, ids=lambda page: page.name)
def test_every_link_and_anchor_leads_somewhere(page):
    lost = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            lost.append(link)
    assert not lost


def test_every_page_can_be_reached_from_the_readme():
    seen, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        waiting += [(page.parent / link.partition("#")[0]).resolve() for link in links(page) if not link.startswith("#")]
    assert set(PEOPLE) <= seen


@pytest.mark.parametrize("page", [page for page in PEOPLE if page.name != "CHANGELOG.md"], ids=lambda page: page.name)
def test_a_page_tells_only_of_what_is_there(page):
    """Targets of make, commands and variables; the changelog tells also what they were called."""
    text, known = page.read_text(), sorted(commands())
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.M)
    told = {f"plate-assets{words}" for words in re.findall(r"(?:`|^|bin/)plate-assets((?: [a-z][a-z-]*)+)", text, flags=re.M)}
    assert not set(re.findall(r"`make ([a-z-]+)", text)) - set(targets)
    assert not {words for words in told if not any(f"{words} ".startswith(f"{command} ") for command in known)}
    variables = {variable(name) for name in Settings.model_fields} | PAST_THE_SETTINGS
    variables |= {f"PLATE_ASSETS_{kind.setting.upper()}" for kind in model_kinds().values()}
    assert not set(re.findall(r"PLATE_ASSETS_[A-Z_]+[A-Z]", text)) - variables


def test_the_readme_is_read_in_three_minutes():
    assert len(README.splitlines()) <= 120


def test_the_readme_says_before_it_is_installed_what_the_licence_of_alibi_detect_allows():
    assert "Business Source License 1.1" in README and "non-profit educational institutions" in README


def test_every_picture_is_shown_small_and_the_size_of_a_mail_together():
    shown = {(page.parent / link).resolve() for page in PEOPLE for link in links(page) if link.endswith(".png")}
    pictures = set((DOCS / "pictures").glob("*.png"))
    assert shown == pictures
    sizes = {picture.name: picture.stat().st_size for picture in pictures}
    assert max(sizes.values()) <= 150_000 and sum(sizes.values()) <= 1_500_000
