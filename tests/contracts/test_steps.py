"""Every kind of step: it is listed, says what it reads, is refused and found by path, is planned and run."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import limbeck
from limbeck.core.errors import ConfigError
from limbeck.recipes import Recipe
from limbeck.recipes.check import check
from limbeck.recipes.steps import STEPS
from limbeck.runs.checking.plan import make_plan
from limbeck.runs.record.fingerprints import fingerprint_steps
from limbeck.runs.record.progress import Silent
from limbeck.runs.steps import module_of
from tests.runs.world import make_world

READ = {"max_length": 48}
EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "load": {"out": "rows", "path": "answers.jsonl", "heldout": 6},
    "build": {"out": "start", "student": {"cut": "teacher", "layers": 1}},
    "generate": {
        "out": "written", "teacher": "teacher", "rows": "rows.train", "limit": 6, "max_new_tokens": 4,
    },
    "elicit": {
        "out": "made", "teacher": "teacher", "rows": "rows.train", "limit": 6,
        "operator": {"name": "answer", "max_new_tokens": 4}, "gates": [{"name": "length", "max": 40}],
    },
    "gate": {
        "out": "kept", "rows": "written", "against": ["rows.heldout"],
        "gates": [{"name": "length", "min": 1}, "exact_duplicate", "novelty"],
    },
    "pair": {"out": "pairs", "rows": "rows.train", "against": "written"},
    "mix": {"out": "mixed", "rows": ["rows.train", "kept"], "shares": [0.8, 0.2]},
    "select": {
        "out": "chosen", "rows": "rows.train", "selector": "k_center", "budget": 10, "model": "teacher",
    },
    "capture": {"out": "signals", "teacher": "teacher", "rows": "rows.train", **READ},
    "train": {
        "out": "student", "student": "start", "teacher": "signals", "rows": "rows.train", "max_steps": 2,
        "objective": [{"name": "forward_kl"}], "learning_rate": 1e-3, **READ,
    },
    "evaluate": {
        "out": "measured", "model": "student", "teacher": "teacher", "baseline": "start",
        "rows": "rows.heldout", "metrics": ["perplexity"], **READ,
    },
    "compare": {"out": "compared", "evaluations": ["measured", "again"]},
}  # fmt: skip
"""One step of each kind, in an order in which each can read what it names."""

AGAIN = {"evaluate": {**EXAMPLES["evaluate"], "out": "again", "model": "start", "baseline": None}}


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"))


def recipe(world: Path, **changes: Any) -> Recipe:
    """All kinds in one recipe, with fields of kinds changed; models and data lie in the world."""
    there = {name: str(world / name) for name in ("teacher", "answers.jsonl")}

    def placed(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: placed(item, name) for name, item in value.items()}
        return (
            there.get(value, value)
            if isinstance(value, str) and key in ("path", "teacher", "cut", "model")
            else value
        )

    steps = [{kind: {**EXAMPLES[kind], **changes.get(kind, {})}} for kind in STEPS if kind in EXAMPLES]
    place = next(place for place, step in enumerate(steps) if "compare" in step)
    steps.insert(place, AGAIN)
    return Recipe.from_data({"limbeck": 1, "name": "all", "steps": [placed(step) for step in steps]})


def at(value: Any, path: str) -> Any:
    for word in path.split("."):
        value = value[int(word)] if isinstance(value, list | tuple) else value[word]
    return value


def test_every_kind_has_an_example_here():
    assert list(EXAMPLES) == list(STEPS), "add an example of the kind, in the order of STEPS"


@pytest.mark.parametrize("kind", STEPS)
def test_a_kind_is_its_own_file_with_its_work_and_is_on_the_page_of_steps(kind):
    found = STEPS[kind]
    assert found.__module__ == f"limbeck.recipes.steps.{kind}"
    work = module_of(found.model_construct())
    assert work.__name__ == f"limbeck.runs.steps.{kind}" and work.VERSION >= 1
    assert all(callable(getattr(work, name)) for name in ("look", "plan", "run"))
    page = (Path(__file__).parents[2] / "docs/steps.md").read_text(encoding="utf-8")
    assert f"## {kind}\n" in page and all(f"| `{name}` |" in page for name in found.model_fields)


@pytest.mark.parametrize("kind", STEPS)
def test_what_a_step_reads_stands_where_it_says(kind, world):
    for step in recipe(world).steps:
        if step.kind == kind:
            plain = step.model_dump(mode="json")
            assert step.reads()
            assert [at(plain, one.path) for one in step.reads()] == [one.word for one in step.reads()]


@pytest.mark.parametrize("kind", STEPS)
def test_a_word_for_what_no_step_makes_is_refused_at_its_path(kind, world):
    whole = recipe(world)
    step = next(step for step in whole.steps if step.kind == kind)
    comparison = next(step for step in whole.steps if step.kind == "compare")
    for one in step.reads():
        if one.names.what in ("rows", "model", "store", "evaluation"):
            # The out of a comparison is never what is meant.
            other = comparison.model_copy(update={"out": one.word.partition(".")[0]})
            broken = Recipe(name="x", steps=(other, step))
            assert f"steps.1.{kind}.{one.path}" in {problem.where for problem in check(broken)}, one


@pytest.mark.parametrize("kind", STEPS)
def test_an_unknown_field_is_refused_with_its_path(kind):
    fields = {**EXAMPLES[kind], "no_such_field": 1}
    with pytest.raises(ConfigError) as error:
        Recipe.from_data({"limbeck": 1, "name": "x", "steps": [{kind: fields}]})
    assert f"steps.0.{kind}.no_such_field" in [problem.where for problem in error.value.problems]


def test_a_recipe_of_all_kinds_survives_yaml(world):
    made = recipe(world)
    assert check(made) == []
    assert Recipe.from_yaml(made.to_yaml()) == made
    assert Recipe.from_data(made.resolved()) == made


def test_a_fingerprint_follows_what_is_read_and_nothing_else(world):
    before = fingerprint_steps(recipe(world))
    after = fingerprint_steps(recipe(world, train={"seed": 1}))
    kinds = [step.kind for step in recipe(world).steps]
    changed = [kind for kind, a, b in zip(kinds, before, after, strict=True) if a.value != b.value]
    assert changed == ["train", "evaluate", "compare"]


def test_a_plan_of_all_kinds_that_is_accepted_starts_and_ends(world, tmp_path):
    made = recipe(world)
    plan, _ = make_plan(made, tmp_path / "run")
    assert [(step.place, step.kind, step.out) for step in plan.steps] == [
        (place, step.kind, step.out) for place, step in enumerate(made.steps)
    ]
    assert all(step.what for step in plan.steps)
    run = limbeck.run(made, tmp_path / "run", progress=Silent())
    folders = sorted(run.folder.glob("steps/*"), key=lambda path: int(path.name.partition("-")[0]))
    done = [json.loads((folder / "done.json").read_text()) for folder in folders]
    assert [step["said"] for step in done] == [step.sentence() for step in made.steps]
    page = run.report.read_text(encoding="utf-8")
    assert all(step.kind in page for step in made.steps)
    assert run.student.is_dir() and run.evaluation and run.comparison
    reused = Reused()
    limbeck.run(made, tmp_path / "run", progress=reused)
    assert reused.places == list(range(len(made.steps)))


class Reused(Silent):
    """Remembers the steps that were taken as they are."""

    def __init__(self) -> None:
        self.places: list[int] = []

    def reused(self, stage: Any) -> None:
        self.places.append(stage.place)
