"""Pages name what is there: every heading in the contents, every link to a file or heading."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def headings(page: Path) -> list[str]:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    return re.findall(r"^##+ (.*)$", text, re.M)


def anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_the_guides_contents_are_complete():
    text = (ROOT / "docs/guide.md").read_text(encoding="utf-8").partition("\n## ")[0]
    listed = re.findall(r"^ *- \[(.*)\]\(#(.*)\)$", text, re.M)
    assert listed == [(heading, anchor(heading)) for heading in headings(ROOT / "docs/guide.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings_that_are_there(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        file, _, heading = target.partition("#")
        place = (page.parent / file).resolve() if file else page
        assert place.exists(), target
        assert not heading or heading in [anchor(one) for one in headings(place)], target
