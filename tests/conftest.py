"""What every room's tests share: the real data, markers, and what a skip means. Not here: anything of one room."""

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

HERE = Path(__file__).parent
NEEDED_BY_FOLDER = {"browser": "browser", "survival": "processes"}
IN_CI = bool(os.environ.get("CI"))

# A busy machine is not a failure; in CI the examples are the same at each run, elsewhere each run looks further.
hypothesis.settings.register_profile("plate_assets", deadline=None, derandomize=IN_CI, print_blob=True)
hypothesis.settings.load_profile("plate_assets")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images and tables, named by PLATE_ASSETS_REAL_DATA; a test without it is skipped, never in CI."""
    folder = os.environ.get("PLATE_ASSETS_REAL_DATA")
    if folder and Path(folder).is_dir():
        return Path(folder).resolve()
    pytest.skip(f"PLATE_ASSETS_REAL_DATA names no folder ({folder!r}): set it to run the tests on real images")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A folder says what its tests need, so that none of them can forget it."""
    for item in items:
        for part in item.path.relative_to(HERE).parts:
            if part in NEEDED_BY_FOLDER:
                item.add_marker(NEEDED_BY_FOLDER[part])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> "Iterator[None]":
    """In CI a test that skips has failed: there everything that a test may lack is installed."""
    report = yield
    return _no_skip_in_ci(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> "Iterator[None]":
    """The same for a module that skips as a whole."""
    report = yield
    return _no_skip_in_ci(report)


def _no_skip_in_ci(report):
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome, report.longrepr = "failed", f"skipped, and in CI nothing is: {reason}"
    return report
