"""What no line may do: run code from a foreign file, read the environment anywhere, use what Dagster left behind.

Belongs here: rules about what is written inside of functions. Not here: who may import whom (`test_floors`).
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.syntax import syntax

ROOT = Path(__file__).parent.parent
SOURCES = {str(path.relative_to(ROOT)): syntax(path) for path in sorted((ROOT / "plate_assets").rglob("*.py"))}

# Each of these can run code that lies in the file it reads.
RUNS_FOREIGN_CODE = (
    "pickle.", "cPickle.", "dill.", "cloudpickle.", "joblib.load", "torch.jit.load", "torch.export.load", "torch.package",
    "mlflow.pytorch.load_model", "mlflow.pyfunc.load_model", "mlflow.sklearn.load_model", "skops.",
    "yaml.load", "yaml.unsafe_load", "eval", "exec", "os.system",
)  # fmt: skip
XML_WITHOUT_LIMITS = ("xml.dom", "xml.sax", "xml.parsers", "lxml")
READS_XML = {"parse", "fromstring", "fromstringlist", "iterparse", "XML", "XMLID", "XMLParser", "XMLPullParser"}
LEFT_BEHIND_BY_DAGSTER = {
    "AutoMaterializePolicy", "LegacyFreshnessPolicy", "build_last_update_freshness_checks", "SourceAsset", "fs_io_manager",
    "multi_asset_sensor", "load_defs", "UPathIOManager",
}  # fmt: skip
READS_THE_ENVIRONMENT = {"plate_assets/settings.py", "plate_assets/cli/shell.py"}


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    """Every call: where it stands, what is called as it is written, and the call itself."""
    for path, tree in SOURCES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                yield f"{path}:{node.lineno}", ast.unparse(node.func), node


@cache
def names() -> tuple[tuple[str, str], ...]:
    """Every imported name and every attribute, dotted, with where it stands."""
    return tuple(_names())


def _names() -> Iterator[tuple[str, str]]:
    for path, tree in SOURCES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                yield from ((f"{path}:{node.lineno}", alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield from ((f"{path}:{node.lineno}", f"{node.module}.{alias.name}") for alias in node.names)
            elif isinstance(node, ast.Attribute):
                yield f"{path}:{node.lineno}", ast.unparse(node)


def option(call: ast.Call, name: str) -> object:
    """The literal value of a keyword argument; None where it is absent or computed."""
    found = next((keyword.value for keyword in call.keywords if keyword.arg == name), None)
    return found.value if isinstance(found, ast.Constant) else None


def test_nothing_is_called_that_runs_code_from_a_file():
    faults = [where for where, called, _ in calls() if called in RUNS_FOREIGN_CODE or called.startswith(RUNS_FOREIGN_CODE[:4])]
    imported = [
        where for where, name in names() if f"{name}.".startswith(tuple(door for door in RUNS_FOREIGN_CODE if "." in door))
    ]
    assert not faults + imported


def test_weights_are_read_as_numbers_only():
    loads = [(where, call) for where, called, call in calls() if called == "torch.load"]
    assert not [where for where, call in loads if option(call, "weights_only") is not True]
    arrays = [where for where, called, call in calls() if called in ("np.load", "numpy.load") and option(call, "allow_pickle")]
    assert not arrays


def test_no_shell_reads_a_command():
    assert not [where for where, _, call in calls() if option(call, "shell")]


def test_xml_from_outside_is_read_with_limits():
    """`xml.etree` may write, in a module that reads none; what reads comes from `defusedxml`, which knows entity bombs."""
    writers = {where.split(":")[0] for where, name in names() if name.startswith("xml.etree")}
    faults = [where for where, name in names() if name.startswith(XML_WITHOUT_LIMITS)]
    faults += [where for where, name in names() if where.split(":")[0] in writers and name.split(".")[-1] in READS_XML]
    assert not faults


def test_nothing_is_fetched_without_checking_who_answers():
    assert not [where for where, _, call in calls() if option(call, "verify") is False]


def test_the_sciences_and_their_floors_do_not_read_the_environment():
    """What a function does follows from its arguments; settings are read once, at the top."""
    faults = [
        where
        for where, name in names()
        if name in ("os.environ", "os.getenv")
        and where.split(":")[0] not in READS_THE_ENVIRONMENT
        and not where.startswith("plate_assets/orchestration/")
    ]
    assert not faults


def test_nothing_is_used_that_dagster_has_left_behind():
    assert not [where for where, name in names() if name.split(".")[-1] in LEFT_BEHIND_BY_DAGSTER]


def test_no_error_is_swallowed_whole():
    """An `except` that catches everything says what becomes of the error."""
    faults = [
        f"{path}:{node.lineno}"
        for path, tree in SOURCES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"))
        and all(isinstance(statement, ast.Pass | ast.Continue) for statement in node.body)
    ]
    assert not faults
