"""Vendors' XML, read in a stream and safely: foreign text that may be huge, cut off, or made to do harm.

Belongs here: walking a file's elements, and its errors. Not here: what any vendor's elements mean (a reader each).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from upath import UPath

from plate_assets.plates.acquisition import AcquisitionError

MAX_XML_BYTES = 2 * 2**30
_CHUNK_BYTES = 2**18


class Target(Protocol):
    """What `walk` tells of a file, in its order; tags and attributes carry their namespaces in braces."""

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins."""

    def data(self, text: str) -> None:
        """A piece of text."""

    def end(self, tag: str) -> None:
        """An element ends."""


def walk(where: UPath, target: Target) -> None:
    """Tell the target all of the file, in a stream: for files with very many elements, where `elements` would make each one.

    Document types and entities are refused, whatever they say. Raises AcquisitionError with the file and the remedy.
    """
    from defusedxml.ElementTree import DefusedXMLParser

    with _faults_named(where), where.open("rb") as file:
        _check_size(where)
        parser = DefusedXMLParser(target=target, forbid_dtd=True)
        while chunk := file.read(_CHUNK_BYTES):
            parser.feed(chunk)
        parser.close()


def elements(where: UPath) -> Iterator[tuple[str, str, Any]]:
    """(`start` or `end`, tag without its namespace, element) of each element of the file; clear an element once it was used.

    Document types and entities are refused, whatever they say. Raises AcquisitionError with the file and the remedy.
    """
    from defusedxml.ElementTree import iterparse

    with _faults_named(where), where.open("rb") as file:
        _check_size(where)
        for event, element in iterparse(file, events=("start", "end"), forbid_dtd=True):
            yield event, element.tag.rpartition("}")[2], element


@contextmanager
def _faults_named(where: UPath) -> Iterator[None]:
    """Whatever is wrong with a file, said with its name and the remedy."""
    from defusedxml.common import DefusedXmlException

    try:
        yield
    except AcquisitionError:
        raise
    except OSError as error:
        raise AcquisitionError(f"{where} could be listed and not read ({error}): look again when it was copied") from error
    except DefusedXmlException as error:
        raise AcquisitionError(
            f"{where} declares a document type or entities, which no microscope's metadata does, and is not read: get the "
            "export again"
        ) from error
    except (SyntaxError, ValueError, LookupError) as error:  # ParseError is a SyntaxError; an unknown encoding the others
        raise AcquisitionError(
            f"{where} is no whole XML ({error}): it is still being copied, or was cut off; copy it again"
        ) from error


def _check_size(where: UPath) -> None:
    size = int(where.stat().st_size)
    if size > MAX_XML_BYTES:
        raise AcquisitionError(f"{where} has {size:,} bytes, and {MAX_XML_BYTES:,} is the limit: export fewer images at a time")


def attributes(element: Any) -> dict[str, str]:
    """The attributes of an element, their names without namespaces."""
    return {name.rpartition("}")[2]: value for name, value in element.attrib.items()}
