"""A section of the morning page: what one science says of the night, on the page and in the message.

Belongs here: the form in which a science hands it in. Not here: any science's words (`workflows`), the page (`morning`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup, escape

from plate_assets.pages.document import environment


@dataclass(frozen=True)
class Count:
    """One of the numbers at the head of the page. hot: whether a person should look."""

    number: int
    words: str
    hot: bool = False


@dataclass(frozen=True)
class Section:
    """What one science says of the night.

    body: below the title, made by `section_body` or `of_text`, so that every name in it is escaped; counts: for the head of the
    page; headline: phrases of the sentence at its top; lines: of the message; fields: numbers for whoever reads the message by
    machine; urgent: whether it stands before the others; eventful: whether anything happened.
    """

    key: str
    title: str
    body: Markup
    counts: Sequence[Count] = ()
    headline: Sequence[str] = ()
    lines: Sequence[str] = ()
    fields: Mapping[str, int] = field(default_factory=dict)
    urgent: bool = False
    eventful: bool = True

    @classmethod
    def of_text(cls, key: str, title: str, text: str) -> "Section":
        """A section of one sentence, which the message says too."""
        return cls(key, title, Markup('<p class="lead">') + escape(text) + Markup("</p>"), lines=(f"• {text}",))


def section_body(package: str, template: str, **values: object) -> Markup:
    """A template of a package's `templates`, filled; every value is escaped."""
    return Markup(environment(package).get_template(template).render(**values))


def counted(count: int, one: str, many: str = "") -> str:
    """`1 plate`, `2 plates`."""
    return f"{count} {one if count == 1 else many or one + 's'}"
