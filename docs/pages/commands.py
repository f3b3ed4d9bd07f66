"""COMMANDS.md: every command with its arguments and options, from the `plate-assets` application."""

from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from docs.pages.markdown import table
from plate_assets.cli import app

PROGRAM = "plate-assets"
HEAD = """# The commands

Written from the code by `make docs`; `plate-assets COMMAND --help` says the same. A mistake that a person can mend ends with
one line and exit code 2. Commands read the [settings](SETTINGS.md) too, so that they and the platform agree.
"""


def commands() -> Iterator[tuple[str, Any]]:
    """Every command with its whole name, the commands of a group after one another."""
    yield from _below(get_command(app), PROGRAM)


def _below(group: Any, name: str) -> Iterator[tuple[str, Any]]:
    for part, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _below(command, f"{name} {part}")
        else:
            yield f"{name} {part}", command


def _usage(name: str, command: Any) -> str:
    """The command as it is typed: what must be given, then what may be."""
    words = [name]
    for parameter in command.params:
        many = "..." if parameter.nargs == -1 or parameter.multiple else ""
        if parameter.param_type_name == "argument":
            word = parameter.name.upper() + many
            words.append(word if parameter.required else f"[{word}]")
        elif parameter.required:
            words.append(f"{parameter.opts[0]} {parameter.name.upper()}{many}")
    return " ".join([*words, "[OPTIONS]"])


def _parameters(command: Any) -> list[list[str]]:
    rows = []
    for parameter in command.params:
        name = parameter.name.upper() if parameter.param_type_name == "argument" else ", ".join(parameter.opts)
        unset = parameter.default is None or parameter.default is False or parameter.default == ""
        default = "needed" if parameter.required else "" if unset else f"`{parameter.default}`"
        rows.append([f"`{name}`", default, parameter.help or ""])
    return rows


def page() -> str:
    """The whole page: all commands at a glance, then the panels of `--help` as parts, each command with what it takes."""
    panels: dict[str, list[str]] = {}
    overview = [[f"[`{name}`](#{name.replace(' ', '-')})", command.help or ""] for name, command in commands()]
    for name, command in commands():
        group = get_command(app).commands[name.split()[1]]  # type: ignore[attr-defined]  (a group's; its base class has none)
        said = f"### {name}\n\n```\n{_usage(name, command)}\n```\n\n{command.help}\n"
        if rows := _parameters(command):
            said += f"\n{table(['argument or option', 'default', 'meaning'], rows)}\n"
        panels.setdefault(group.rich_help_panel or "Others", []).append(said)
    glance = table(["command", "what it does"], overview)
    return "\n".join([HEAD, f"{glance}\n", *(f"## {panel}\n\n" + "\n".join(said) for panel, said in panels.items())])
