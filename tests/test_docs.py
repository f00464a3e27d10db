"""Pages name what is there: every heading in the contents, every link to a file or heading."""

import re
from pathlib import Path

import pytest

from limbeck.core.model_words import model_word
from limbeck.recipes.check import check
from limbeck.recipes.model import Recipe

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


@pytest.mark.parametrize("file", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda file: file.name)
def test_a_recipe_among_the_examples_is_well_formed(file):
    recipe = Recipe.from_yaml(file.read_text(encoding="utf-8"))
    assert check(recipe) == []


def test_the_first_hour_names_what_its_recipe_reads():
    page = (ROOT / "docs/first-hour.md").read_text(encoding="utf-8")
    recipe = Recipe.from_yaml((ROOT / "examples/first_hour.yaml").read_text(encoding="utf-8"))
    load, build, baseline, student, _ = recipe.steps
    model = model_word(build.student.origin)
    for word in (load.path, f"{{model: {model.place}, gguf_file: {model.gguf_file}}}", f"runs/{recipe.name}"):
        assert word in page
    # The comparison is fair: all but the terms, the teacher and the name is the same.
    apart = {"out", "objective", "teacher"}
    assert baseline.model_dump(exclude=apart) == student.model_dump(exclude=apart)
