"""A page of HTML, read strictly, for the tests of all pages."""

import re
from collections import Counter
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "input", "br", "hr"}


class Page(HTMLParser):
    """A strict reader: every element that opens is closed in order; ids, attributes and words are collected."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: Counter[str] = Counter()
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.ids.update(str(value) for name, value in attrs if name == "id")
        self.attributes += attrs
        assert len(attrs) == len(dict(attrs)), f"<{tag}> has an attribute twice"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def assert_whole_and_alone(html: str) -> None:
    """A whole document without two of one id, which fetches nothing and runs nothing out of an attribute."""
    page = Page(html)
    assert html.startswith("<!DOCTYPE html>")
    assert [name for name, count in page.ids.items() if count > 1] == []
    fetched = [value for name, value in page.attributes if name in ("src", "href", "data", "srcset", "action") and value]
    assert {value[:1] if value[0] == "#" else value.split(":")[0] for value in fetched} <= {"#", "data"}
    assert not any(name.startswith("on") or name == "style" for name, _ in page.attributes)
    assert "@import" not in html and not re.search(r"url\((?!#|data:)", html)
