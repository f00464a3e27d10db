"""Mistakes in recipe files: all in one go, with path, what is allowed and what was meant."""

# ruff: noqa: E501  (messages are written out whole)

import pytest

from limbeck.core.catalogue import catalogue
from limbeck.core.errors import ConfigError
from limbeck.recipes import Recipe
from limbeck.recipes.check import check

READ_A_TEACHER = [
    name
    for name, entry in catalogue("objectives").items()
    if any(signal.startswith("teacher_") for signal in entry.positional)
]


def problems_of(text: str) -> list[str]:
    try:
        return [str(problem) for problem in check(Recipe.from_yaml(text))]
    except ConfigError as error:
        return [str(problem) for problem in error.problems]


def test_wrong_keys_and_values_are_all_named_at_once():
    text = """
limbeck: 1
nmae: x
steps:
  - load: {out: rows, path: d.jsonl, heldot: 0.1}
  - lode: {out: more}
  - train:
      out: student
      student: {cut: S}
      rows: rows.train
      objective: [{name: forward_kll}, {name: jsd}, {name: taid, t: {schedule: liner}, tau: 2}]
      learning_rate: fast
      max_steps: 0
  - train: {out: b, student: S, rows: rows.train, objective: [{name: patient}, {name: forward_kl, layers: {student: [1], teacher: [1]}}]}
"""
    assert problems_of(text) == [
        "nmae: unknown key 'nmae'. Did you mean 'name'?",
        "steps.0.load.heldot: unknown key 'heldot'. Did you mean 'heldout'?",
        "steps.1.lode: unknown step 'lode'. Did you mean 'load'?",
        "steps.2.train.learning_rate: must be auto or a number above 0, got 'fast'.",
        "steps.2.train.student.layers: is required and has no default.",
        "steps.2.train.objective.0: unknown objective 'forward_kll'. Did you mean 'forward_kl'?",
        "steps.2.train.objective.1: jsd: hyperparameter 'beta' is required and has no default.",
        "steps.2.train.objective.2: taid: unknown hyperparameter 'tau'. "
        "Allowed: compat, layers, mean, on, t, tail, temperature, temperature_squared, trainable, weight, weighted_by. t: unknown schedule 'liner'. Did you mean 'linear'?",
        "steps.3.train.objective.0: patient reads inner layers: say which, as in layers: "
        "{student: [-1], teacher: [-1]}.",
        "steps.3.train.objective.1: forward_kl reads no inner layers: leave out layers.",
    ]


HEAD = "limbeck: 1\nname: x\nsteps:\n  - load: {out: rows, path: d.jsonl}\n"


def train(**changes: str) -> str:
    fields = {"out": "student", "student": "S", "rows": "rows.train", "objective": "[{name: cross_entropy}]"}
    return (
        "  - train: {" + ", ".join(f"{key}: {value}" for key, value in {**fields, **changes}.items()) + "}\n"
    )


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (train(rows="row.train"), "steps.1.train.rows: unknown rows 'row.train'. Did you mean 'rows.train'?"),
        (
            train(rows="rows"),
            "steps.1.train.rows: must be rows.train, rows.validation or rows.heldout, got 'rows'.",
        ),
        (
            train(rows="rows.heldout"),
            "steps.1.train.rows: must not be held-out rows, got 'rows.heldout'. Take rows.train.",
        ),
        (
            train(balance="gradient_magnitude"),
            "steps.1.train.balance: needs two terms or more, got cross_entropy alone.",
        ),
        (
            train(
                balance="gradient_magnitude",
                teacher="T",
                objective="[{name: cross_entropy}, {name: forward_kl, weight: {schedule: linear, start: 0, stop: 1}}]",
            ),
            "steps.1.train.objective.1.weight: must be no schedule with balance: gradient_magnitude, which reads "
            "none. Leave one out.",
        ),
        (
            train(
                teacher="T",
                objective="[{name: dual_space, trainable: {module: projectors, student_width: 4, teacher_width: 6}}]",
            ),
            "steps.1.train.objective.0: dual_space aligns the tokens of single rows: give the step packing: false.",
        ),
        (
            train(balance="gradients"),
            "steps.1.train.balance: must be 'gradient_magnitude', got 'gradients'.",
        ),
        (
            train(objective="[{name: forward_kl}]"),
            "steps.1.train.objective.0: objective forward_kl reads teacher_logits: give the step a teacher.",
        ),
        (
            train(teacher="T"),
            "steps.1.train.teacher: is read by no objective (got cross_entropy): leave the teacher out, or add "
            f"one that reads it: {', '.join(READ_A_TEACHER)}.",
        ),
        (
            train(objective="[{name: cross_entropy, on: label}]"),
            "steps.1.train.objective.0.on: needs `task` or `rollouts`, got on: label with task: default.",
        ),
        (
            train() + train(),
            "steps.2.train.out: must be unique, got 'student', which an earlier step makes. Rename one.",
        ),
        (
            train(student="rows"),
            "steps.1.train.student.model: must be a model, got 'rows', which is made by the step `load`.",
        ),
        (
            train(student="later") + train(out="later"),
            "steps.1.train.student.model: must be a model of an earlier step, got 'later', which is made by this "
            "or a later one. Move that step up, or write ./later for a folder of that name.",
        ),
        (
            train(out="a/b"),
            "steps.1.train.out: must be letters, digits, _ and -, got 'a/b'. It names a folder.",
        ),
        (
            "  - evaluate: {model: S, rows: rows.heldout, metrics: [fidelity]}\n",
            "steps.1.evaluate.metrics.0: fidelity compares with a teacher: give the step a teacher.",
        ),
        (
            "  - evaluate: {model: S, teacher: {model: T, noise: 1}, rows: rows.heldout, metrics: [fidelity]}\n",
            "steps.1.evaluate.teacher.noise: must be 0 outside of train steps, got 1. Leave it out here.",
        ),
        (
            "  - evaluate: {model: S, baseline: S, rows: rows.heldout, metrics: [speed]}\n",
            "steps.1.evaluate.baseline: must be another model than `model`, got 'S' twice.",
        ),
        (
            "  - evaluate: {model: S, rows: rows.heldout, metrics: [speed], task: exact_match}\n",
            "steps.1.evaluate.task: judges completions: add generation to metrics, got speed.",
        ),
    ],
)
def test_a_step_that_refers_to_nothing_useful_is_refused(steps, expected):
    assert problems_of(HEAD + steps) == [expected]


def build(student: str, **changes: str) -> str:
    fields = {"out": "start", "student": student, **changes}
    return "  - build: {" + ", ".join(f"{key}: {value}" for key, value in fields.items()) + "}\n"


PRUNE = "{prune: T, ratio: 0.6}"


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (
            build(PRUNE),
            "steps.1.build.rows: must name rows to prune by, got none. For example rows: rows.train.",
        ),
        (
            build(PRUNE, rows="rows.heldout"),
            "steps.1.build.rows: must not be held-out rows, got 'rows.heldout'. Take rows.train.",
        ),
        (
            build(PRUNE, rows="rows.trian"),
            "steps.1.build.rows: must be rows.train, rows.validation or rows.heldout, got 'rows.trian'.",
        ),
        (
            build("{cut: T, layers: 2}", rows="rows.train"),
            "steps.1.build.rows: is read only to prune, got 'rows.train' with cut. Leave it out.",
        ),
        (
            train(student=PRUNE),
            "steps.1.train.student: must be made without rows in a train step, got prune: T. Make it in a step "
            "`build` before it, and name that step's out here.",
        ),
        (
            build("{prune: T, ratio: 1.5}", rows="rows.train"),
            "steps.1.build.student.ratio: must be less than 1, got 1.5.",
        ),
        (
            build("{prune: T, ratio: 0}", rows="rows.train"),
            "steps.1.build.student.ratio: must be greater than 0, got 0.",
        ),
        (
            build("{prune: T}", rows="rows.train"),
            "steps.1.build.student: prune goes with either sizes or ratio, for example {prune: DIR, ratio: 0.6} or "
            "{prune: DIR, sizes: {num_hidden_layers: 6}}.",
        ),
        (
            build("{prune: T, sizes: {hiden_size: 8, intermediate_size: 1.5}}", rows="rows.train"),
            "steps.1.build.student: sizes: unknown size 'hiden_size'. Did you mean 'hidden_size'? "
            "sizes.intermediate_size must be a whole number, at least 1, got 1.5.",
        ),
        (
            build("{cut: T, layers: 2, ratio: 0.5}"),
            "steps.1.build.student: ratio goes with prune, for example {prune: DIR, ratio: 0.6}, got it with cut.",
        ),
        (
            build("{prune: T, cut: T, layers: 1, ratio: 0.5}"),
            "steps.1.build.student: must be one of {model: DIR_OR_ID}, {cut: DIR, layers: 3}, {fresh: DIR, sizes: {hidden_size: 128}}, {prune: DIR, ratio: 0.6}, got cut and prune.",
        ),
    ],
)
def test_a_student_that_cannot_be_pruned_as_said_is_refused(steps, expected):
    assert problems_of(HEAD + steps) == [expected]


def test_a_pruned_student_survives_yaml_and_others_name_no_rows_to_prune_by():
    text = (
        HEAD + build(PRUNE, rows="rows.train", calibration_rows="8") + build("{cut: T, layers: 2}", out="b")
    )
    recipe = Recipe.from_yaml(text)
    assert check(recipe) == []
    assert Recipe.from_yaml(recipe.to_yaml()) == recipe
    pruned, cut = (step["build"] for step in recipe.to_data()["steps"][1:])
    assert pruned == {
        "out": "start",
        "student": {"prune": "T", "ratio": 0.6},
        "rows": "rows.train",
        "calibration_rows": 8,
        "max_length": 256,
        "seed": 0,
    }
    assert cut == {"out": "b", "student": {"cut": "T", "layers": 2}, "seed": 0}


TWO = (
    "  - evaluate: {out: a, model: S, teacher: T, rows: rows.heldout, metrics: [perplexity]}\n"
    "  - evaluate: {out: b, model: U, rows: rows.heldout, metrics: [perplexity]}\n"
)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("evaluations: [a]", [": evaluations: must name at least two, got 1."]),
        (
            "evaluations: [a, c]",
            [".evaluations.1: unknown evaluation 'c'. Allowed: a, b. It must be made by an earlier step."],
        ),
        (
            "evaluations: [a, rows]",
            [".evaluations.1: must be an evaluation, got 'rows', which is made by the step `load`."],
        ),
        ("evaluations: [a, b, a]", [": evaluations: must be named once each, got a twice."]),
        ("evaluations: [a, b], by: {c: {size: 1}}", [": by: unknown evaluation 'c'. Allowed: a, b."]),
        (
            "evaluations: [a, b], figures: [{x: size, y: bits_per_bite}], by: {a: {size: 1}}",
            [": figures: unknown measure 'bits_per_bite'. Did you mean 'bits_per_byte'?"],
        ),
        (
            "evaluations: [a, b], figures: [{x: parameters, y: top1_agreement}]",
            [": top1_agreement must be measured in at least two of a, b: add fidelity to metrics."],
        ),
        ("evaluations: [a, b], tests: [{test: anova, y: bits_per_byte}]", [".tests.0: anova needs factor."]),
        (
            "evaluations: [a, b], tests: [{test: anova, y: bits_per_byte, factor: method}]",
            [": group and factor: unknown key of `by` 'method'. Allowed: nothing."],
        ),
        (
            "evaluations: [a, b], tests: [{test: spearman, y: bits_per_byte, x: parameters, against: a}]",
            [".tests.0: against goes with paired_t alone."],
        ),
    ],
)
def test_a_comparison_of_what_is_not_there_is_refused(fields, expected):
    found = problems_of(HEAD + TWO + "  - compare: {" + fields + "}\n")
    assert len(found) == len(expected)
    for problem, start in zip(found, expected, strict=True):
        assert problem.startswith("steps.3.compare" + start), problem


def test_a_comparison_of_evaluations_on_other_rows_is_refused():
    other = TWO.replace(
        "rows: rows.heldout, metrics: [perplexity]}",
        "rows: rows.heldout, limit: 3, metrics: [perplexity]}",
        1,
    )
    assert problems_of(HEAD + other + "  - compare: {evaluations: [a, b]}\n") == [
        "steps.3.compare.evaluations: must be on the same held-out rows, got rows.heldout[:3], rows.heldout."
    ]


def test_an_evaluation_on_rows_that_are_not_held_out_is_refused():
    text = HEAD.replace("d.jsonl", "d.jsonl, heldout: 0")
    steps = "  - evaluate: {model: S, rows: rows.heldout, metrics: [speed]}\n"
    assert problems_of(text + steps) == [
        "steps.1.evaluate.rows: has no rows, because steps.0.load.heldout is 0. Set it above 0, for example 0.05."
    ]


@pytest.mark.parametrize("text", ["", "3", "steps: 3", "[1]"])
def test_what_is_no_recipe_is_refused(text):
    assert problems_of(text) == [
        "a recipe must be a mapping with `limbeck: 1`, `name` and a list of `steps`."
    ]


def test_broken_yaml_is_refused_with_line_and_column():
    assert problems_of("limbeck: 1\nsteps: [") == [
        "must be YAML; line 2, column 9: expected the node content, but found '<stream end>'."
    ]


def test_rows_made_of_held_out_ones_are_measured_on_and_never_learnt():
    made = {"elicit": {"out": "unseen", "teacher": "T", "rows": "rows.heldout", "operator": "answer"}}
    gated = {"gate": {"out": "kept", "rows": "unseen", "gates": ["exact_duplicate"]}}
    train = {"train": {"out": "s", "student": "S", "rows": "kept", "objective": [{"name": "cross_entropy"}]}}
    measure = {"evaluate": {"model": "S", "rows": "kept", "metrics": ["perplexity"]}}
    load = {"load": {"out": "rows", "path": "d.jsonl"}}
    recipe = {"limbeck": 1, "name": "x", "steps": [load, made, gated, train, measure]}
    found = [str(one) for one in check(Recipe.from_data(recipe))]
    assert found == [
        "steps.3.train.rows: must not be made of held-out rows, got 'kept'. Take rows made of others."
    ]
