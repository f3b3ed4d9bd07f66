"""The command: `python -m docs` writes the pages that come from the code."""

from docs.pages import FOLDER, PAGES


def main() -> None:
    """Write each page over the one that is there."""
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page())
        print(f"docs/{name}")


if __name__ == "__main__":
    main()
