"""Shipped recipes as data: they round-trip, pass the checks, and say what the papers say."""

import pytest

from limbeck import recipes
from limbeck.core.catalogue import REQUIRED, catalogue
from limbeck.core.errors import ConfigError
from limbeck.recipes import Recipe, Term, Train
from limbeck.recipes.check import check
from limbeck.recipes.pkd import matched
from limbeck.recipes.text import read_yaml, write_yaml

CUT = {"cut": "T", "layers": 2}
SHIPPED = {
    "quickstart": recipes.quickstart(),
    "sft": recipes.sft(student="S", data="d.jsonl"),
    "word_kd": recipes.word_kd(teacher="T", student="S", data="d.jsonl"),
    "word_kd cut": recipes.word_kd(teacher="T", student=CUT, data="d.jsonl", baseline=False),
    "word_kd soft only": recipes.word_kd(teacher="T", student="S", data="d.jsonl", kd_ratio=1.0),
    "word_kd hard only": recipes.word_kd(teacher="T", student="S", data="d.jsonl", kd_ratio=0.0),
    "seq_kd": recipes.seq_kd(teacher="T", student=CUT, data="d.jsonl"),
    "step_by_step": recipes.step_by_step(student="S", data="d.jsonl", columns={"rationale": "llm_rationale"}),
    "minilm": recipes.minilm(teacher="T", data="d.jsonl"),
    "minilm student": recipes.minilm(teacher="T", data="d.jsonl", student="S"),
    "akl": recipes.akl(teacher="T", student="S", data="d.jsonl"),
    "akl soft only": recipes.akl(teacher="T", student=CUT, data="d.jsonl", kd_ratio=1.0, baseline=False),
    "decoupled_kd": recipes.decoupled_kd(teacher="T", student="S", data="d.jsonl"),
    "decoupled_kd warm": recipes.decoupled_kd(
        teacher="T", student=CUT, data="d.jsonl", hard=0.5, temperature=4.0
    ),
    "cost_effective": recipes.cost_effective(teacher="T", student="S", data="d.jsonl"),
    "cost_effective tuned": recipes.cost_effective(
        teacher="T", student=CUT, data="d.jsonl", teacher_is_tuned=True, smoothing=0.1, alpha=1.0
    ),
    "dataset_distillation": recipes.dataset_distillation(teacher="T", student="S", data="d.jsonl"),
    "dataset_distillation ifd": recipes.dataset_distillation(
        teacher="T", student=CUT, data="d.jsonl", selector="ifd", label=False, budget=64, unit="rows"
    ),
    "dataset_distillation quota": recipes.dataset_distillation(
        teacher="T", student="S", data="d.jsonl", selector="quota", groups="topic", baseline=False
    ),
    "document_understanding": recipes.document_understanding(teacher="T", student="S", data="d.jsonl"),
    "document_understanding loss": recipes.document_understanding(
        teacher="T", student=CUT, data="d.jsonl", curriculum="loss", spaces="keep", baseline=False
    ),
    "frontier": recipes.frontier(teacher="T", student="S", data="d.jsonl"),
    "frontier vanilla": recipes.frontier(teacher="T", student=CUT, data="d.jsonl", program="vanilla"),
    "frontier density": recipes.frontier(
        teacher="T", student="S", data="d.jsonl", program="chain_of_density", task=None
    ),
    "frontier reasons": recipes.frontier(
        teacher={"endpoint": "http://127.0.0.1:8000/v1", "model": "m"},
        student="S",
        data="d.jsonl",
        internalise=False,
        task="exact_match",
    ),
    "agent": recipes.agent(teacher="T", student="S", data="d.jsonl", functions=["m:f"]),
    "agent general": recipes.agent(
        teacher="T", student=CUT, data="d.jsonl", functions=["m:f"], general="g.jsonl", success=None
    ),
    "agent alone": recipes.agent(
        teacher="T", student="S", data="d.jsonl", functions=["m:f"], general="g.jsonl", baseline=False
    ),
    "domain": recipes.domain(teacher="T", student="S", data="d.jsonl", domain="law"),
    "domain general": recipes.domain(
        teacher="T", student=CUT, data="d.jsonl", domain="code", judge="J", general="g.jsonl"
    ),
    "rag corpus": recipes.rag(teacher="T", student=CUT, data="d.jsonl", corpus="c.jsonl", learn="answer"),
    "rag": recipes.rag(teacher="T", student="S", data="d.jsonl"),
    "rag documents": recipes.rag(
        teacher="T", student="S", data="d.jsonl", keep=["documents", "helpful"], baseline=False
    ),
    "ded": recipes.ded(teachers={"a": "T", "b": "U"}, student="S", data="d.jsonl"),
    "ded chosen": recipes.ded(teachers={"a": "T", "b": "U"}, student=CUT, data="d.jsonl", chosen="b"),
    "ded one": recipes.ded(teachers={"a": "T"}, student="S", data="d.jsonl", chosen="a", baseline=False),
    "source_matters": recipes.source_matters(teachers={"a": "T", "b": "U"}, student="S", data="d.jsonl"),
    "source_matters cut": recipes.source_matters(
        teachers={"a": "T", "b": {"endpoint": "http://127.0.0.1:8000/v1", "model": "m"}},
        student=CUT,
        data="d.jsonl",
        baseline=False,
        task=None,
        operator="answer",
        maximum_perplexity={"a": 9.0},
    ),
    "redi": recipes.redi(student="S", data="d.jsonl"),
    "redi teacher": recipes.redi(teacher="T", student="S", data="d.jsonl"),
    "redi cut": recipes.redi(student=CUT, data="d.jsonl", alpha=0.0, baseline=False),
    "pkd": recipes.pkd(teacher="T", data="d.jsonl"),
    "capacity_gap": recipes.capacity_gap(),
    "capacity_gap paper": recipes.capacity_gap(size="paper", data="d.jsonl"),
    "fidelity_study": recipes.fidelity_study(),
    "fidelity_study paper": recipes.fidelity_study(size="paper", data="d.jsonl"),
    "teacher_hacking": recipes.teacher_hacking(),
    "teacher_hacking paper": recipes.teacher_hacking(size="paper", data="d.jsonl", sources=("offline",)),
    "pkd tuned": recipes.pkd(teacher="T", data="d.jsonl", teacher_is_tuned=True, match="last"),
    "gkd": recipes.gkd(teacher="T", student="S", data="d.jsonl"),
    "gkd supervised": recipes.gkd(
        teacher="T", student=CUT, data="d.jsonl", on_policy=0.0, divergence="forward_kl"
    ),
    "gkd warmed": recipes.gkd(teacher="T", student="S", data="d.jsonl", on_policy=1.0, sft_steps=9),
    "semantic_revision": recipes.semantic_revision(teacher="T", student="S", data="d.jsonl"),
    "dynamic_kd": recipes.dynamic_kd(teacher="T", data="d.jsonl"),
    "dynamic_kd teachers": recipes.dynamic_kd(
        teacher="T", small_teacher="U", data="d.jsonl", dynamic="teacher"
    ),
    "dynamic_kd objective": recipes.dynamic_kd(teacher="T", data="d.jsonl", dynamic="objective"),
    "on_policy": recipes.on_policy(teacher="T", student="S", data="d.jsonl"),
    "on_policy full": recipes.on_policy(teacher="T", student="S", data="d.jsonl", signal="full"),
    "distillm": recipes.distillm(teacher="T", student="S", data="d.jsonl"),
    "distillm reverse": recipes.distillm(teacher="T", student="S", data="d.jsonl", skew="reverse"),
    "distillm2": recipes.distillm2(teacher="T", student="S", data="d.jsonl"),
    "distillm2 released": recipes.distillm2(
        teacher="T", student="S", data="d.jsonl", gradual=False, compat="released"
    ),
    "minillm": recipes.minillm(teacher="T", student="S", data="d.jsonl"),
    "minillm corpus": recipes.minillm(
        teacher="T", student="S", data="d.jsonl", corpus="c.jsonl", compat="released"
    ),
    "taid": recipes.taid(teacher="T", student="S", data="d.jsonl"),
    "ctkd": recipes.ctkd(teacher="T", student="S", data="d.jsonl"),
    "ctkd released": recipes.ctkd(teacher="T", student="S", data="d.jsonl", compat="released"),
    "ddk": recipes.ddk(teacher="T", student="S", data="d.jsonl"),
    "alm": recipes.alm(teacher="T", student={"model": "T", "tokenizer": "bytes"}, data="d.jsonl"),
    "alm balanced": recipes.alm(
        teacher="T", student="S", data="d.jsonl", cross_entropy=True, states=True, threshold=0.0
    ),
    "uld": recipes.uld(teacher="T", student="S", data="d.jsonl"),
    "min_edit": recipes.min_edit(teacher="T", student="S", data="d.jsonl"),
    "dskd": recipes.dskd(teacher="T", student="S", data="d.jsonl"),
}
USUAL = {"teacher": "T", "student": "S", "data": "d.jsonl", "critic": "C"}
for name, entry in catalogue("recipes").items():
    required = {one for one, default in entry.keywords.items() if default == REQUIRED}
    if name in recipes.__all__ and name not in {one.split()[0] for one in SHIPPED}:
        SHIPPED[name] = entry.load()(**{one: USUAL[one] for one in required})
ON_POLICY = ("gkd", "on_policy", "distillm", "distillm2", "minillm", "taid", "ctkd", "ddk")


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_recipe_survives_yaml(name):
    assert Recipe.from_yaml(SHIPPED[name].to_yaml()) == SHIPPED[name]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_recipe_passes_the_checks(name):
    assert check(SHIPPED[name]) == []


@pytest.mark.parametrize("name", ["quickstart", "word_kd", "seq_kd", "step_by_step", "pkd", *ON_POLICY])
def test_the_baseline_differs_from_the_student_in_teacher_rows_and_objective_only(name):
    baseline, student = (
        next(step for step in SHIPPED[name].steps if isinstance(step, Train) and step.out == out)
        for out in ("baseline", "student")
    )
    method = {"out", "teacher", "rows", "objective", "rollouts", "corpus", "validation", "domains"}
    assert baseline.model_dump(exclude=method) == student.model_dump(exclude=method)
    assert baseline.teacher is None


@pytest.mark.parametrize(
    ("name", "terms"),
    [
        ("akl", {"forward": ["cross_entropy", "forward_kl"], "student": ["cross_entropy", "adaptive_kl"]}),
        ("decoupled_kd", {"forward": ["forward_kl"], "student": ["decoupled_kd"]}),
    ],
)
def test_a_divergence_is_compared_with_forward_kl_all_else_equal(name, terms):
    trained = [step for step in SHIPPED[name].steps if isinstance(step, Train)]
    assert {step.out: [term.name for term in step.objective] for step in trained} == terms
    compared, student = (step.model_dump(exclude={"out", "objective"}) for step in trained)
    assert compared == student
    assert [term.weight for term in trained[0].objective] == [term.weight for term in trained[1].objective]


def test_a_data_set_is_labelled_by_one_model():
    for teacher in ({"signals": "DIR"}, {"ensemble": ["A", "B"]}):
        with pytest.raises(ConfigError, match="must be one model, which labels what is chosen"):
            recipes.dataset_distillation(teacher=teacher, student="S", data="d.jsonl")


def test_redi_lowers_wrong_answers_by_alpha_and_its_baseline_does_not():
    trained = {step.out: step for step in SHIPPED["redi"].steps if isinstance(step, Train)}
    assert [(term.on, term.weight, term.mean) for term in trained["student"].objective] == [
        ("chosen", 1.0, "sequence"),
        ("rejected", -0.8, "sequence"),
    ]
    baseline, student = (
        trained[name].model_dump(exclude={"out", "objective"}) for name in ("right_only", "student")
    )
    assert baseline == student
    assert trained["right_only"].objective == trained["student"].objective[:1]


def test_cost_effective_learns_scores_then_labels_and_its_baseline_labels_twice():
    trained = {step.out: step for step in SHIPPED["cost_effective"].steps if isinstance(step, Train)}
    assert list(trained) == ["tuned", "labelled", "baseline", "scored", "student"]
    assert [(term.name, term.weight) for term in trained["scored"].objective] == [
        ("cross_entropy", 0.5),
        ("corrected_mse", 0.5),
    ]
    assert trained["student"].student.model == "scored"
    for baseline, distilled in (("labelled", "scored"), ("baseline", "student")):
        method = {"out", "teacher", "objective", "student"}
        assert trained[baseline].model_dump(exclude=method) == trained[distilled].model_dump(exclude=method)


def test_step_by_step_weighs_label_and_rationale_by_alpha():
    student = recipes.step_by_step(student="S", data="d", alpha=0.25).steps[-2]
    assert [(term.name, term.on, term.weight) for term in student.objective] == [
        ("cross_entropy", "label", 0.25),
        ("cross_entropy", "rationale", 0.75),
    ]


@pytest.mark.parametrize(
    ("match", "expected"),
    # Sun et al. 2019, figure 2, counted from 0: skip 2, 4, 6, 8, 10 and last 7, ..., 11 of 12.
    [("skip", (1, 3, 5, 7, 9)), ("last", (6, 7, 8, 9, 10))],
)
def test_pkd_matches_the_layers_of_the_paper(match, expected):
    layers = matched(6, 12, match)
    assert (layers.student, layers.teacher) == ((0, 1, 2, 3, 4), expected)


def test_a_term_folds_unknown_keys_into_hyperparameters_and_writes_them_back():
    term = Term.model_validate({"name": "taid", "t": {"schedule": "linear", "start": 0.4, "stop": 1.0}})
    assert term.options == {"t": {"schedule": "linear", "start": 0.4, "stop": 1.0}}
    assert Term.model_validate(term.model_dump()) == term


def test_yaml_reads_the_key_on_and_numbers_with_exponents_as_they_look():
    assert read_yaml("{on: label, rate: 1e-4, n: 3, yes: no}") == {
        "on": "label",
        "rate": 1e-4,
        "n": 3,
        "yes": "no",
    }


@pytest.mark.parametrize(
    "value", [1e-7, 1e20, "1e5", "true", "null", "on", "3", "", "a: b", None, True, [1, [2, {"a": 1}]]]
)
def test_yaml_gives_back_what_was_written(value):
    assert read_yaml(write_yaml({"key": value})) == {"key": value}


def test_a_key_that_is_there_twice_is_refused():
    with pytest.raises(Exception, match=r"line 1, column 8: key 'a' is there twice"):
        read_yaml("{a: 1, a: 2}")
