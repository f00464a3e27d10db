"""How rows of a step become batches, and how its terms become functions."""

import pytest
import torch
from datasets import Dataset

from limbeck.core.errors import ConfigError
from limbeck.core.term import LayerMap
from limbeck.core.term import Term as EngineTerm
from limbeck.objectives import jsd, taid
from limbeck.recipes import Layers, Term, Train
from limbeck.rows.render import render
from limbeck.rows.source import PackedSource
from limbeck.runs.assembly.sources import heldout_source, rendering_of, training_source
from limbeck.runs.assembly.terms import build_terms, try_term
from tests import tiny


def two_task(*on, model_kind="seq2seq", packing=False):
    """Source of three rows for terms on these tasks, and its rendering."""
    step = Train(
        out="student",
        student="S",
        rows="rows.train",
        task="two_task",
        packing=packing,
        objective=[Term(name="cross_entropy", on=task) for task in on],
    )
    rows = Dataset.from_list(
        [
            {"id": f"r{n}", "question": f"{n} and {n}", "answer": str(n), "rationale": "two of them"}
            for n in range(3)
        ]
    )
    model = tiny.tiny_t5() if model_kind == "seq2seq" else tiny.tiny_llama()
    tokenizer = tiny.tiny_seq2seq_tokenizer() if model_kind == "seq2seq" else tiny.tiny_tokenizer()
    rendering = rendering_of(step, model_kind, task="two_task", label_names=())
    rendered = render(rows, tokenizer, rendering)
    return (
        training_source(rendered, rendering, step, tokenizer, model.config),
        heldout_source(rendered, rendering, tokenizer, model.config),
    )


@pytest.mark.parametrize("model_kind", ["seq2seq", "causal"])
def test_a_batch_of_two_tasks_holds_label_and_rationale_of_the_same_rows(model_kind):
    source, _ = two_task("label", "rationale", model_kind=model_kind)
    batch = source.batch([2, 0])
    assert len(source) == 3
    assert batch.row_ids == [["r2"], ["r2#rationale"], ["r0"], ["r0#rationale"]]
    assert [int(groups.max()) for groups in batch.groups] == [0, 1, 0, 1]


def test_a_task_that_no_term_learns_is_not_computed_and_the_rows_stay_the_same():
    source, _ = two_task("label")
    assert len(source) == 3
    assert source.batch([2, 0]).row_ids == [["r2"], ["r0"]]


def test_only_the_label_is_measured_on_held_out_rows():
    _, heldout = two_task("label", "rationale")
    assert heldout.batch(range(len(heldout))).row_ids == [["r0"], ["r1"], ["r2"]]


def test_a_batch_of_pairs_holds_both_answers_of_the_same_rows_and_is_never_packed():
    step = Train(
        out="student", student="S", rows="rows.train", task="preference",
        objective=[Term(name="cross_entropy"), Term(name="cross_entropy", weight=-0.5)],
    )  # fmt: skip
    rows = Dataset.from_list(
        [{"id": f"r{n}", "prompt": f"{n} and {n}", "chosen": "the cat", "rejected": "sat"} for n in range(3)]
    )
    tokenizer, config = tiny.tiny_tokenizer(), tiny.tiny_llama().config
    rendering = rendering_of(step, "causal", task="preference", label_names=())
    rendered = render(rows, tokenizer, rendering)
    source = training_source(rendered, rendering, step, tokenizer, config)
    batch = source.batch([2, 0])
    assert step.packing and len(source) == 3
    assert batch.group_names == ("chosen", "rejected")
    assert batch.row_ids == [["r2"], ["r2#rejected"], ["r0"], ["r0#rejected"]]
    assert [int(groups.max()) for groups in batch.groups] == [0, 1, 0, 1]
    heldout = heldout_source(rendered, rendering, tokenizer, config)
    assert heldout.batch(range(len(heldout))).row_ids == [["r0"], ["r1"], ["r2"]]


def test_causal_rows_are_packed_when_asked_for():
    source, _ = two_task("label", "rationale", model_kind="causal", packing=True)
    assert isinstance(source, PackedSource)


def test_rows_share_no_pack_where_an_objective_reads_whole_rows():
    layers = Layers(student=(-1,), teacher=(-1,))
    on_states = Term(name="state_mse", layers=layers)
    step = Train(
        out="student", student="S", rows="rows.train", objective=[Term(name="cross_entropy"), on_states]
    )
    rows, tokenizer = Dataset.from_list([{"id": "a", "text": "the cat"}]), tiny.tiny_tokenizer()
    rendering = rendering_of(step, "causal", task="default", label_names=())
    rendered = render(rows, tokenizer, rendering)
    source = training_source(rendered, rendering, step, tokenizer, tiny.tiny_llama().config)
    assert step.packing and "attention_mask" in source.batch([0]).inputs


def test_a_unit_without_weights_is_refused_before_training():
    def of_batch(student_states, teacher_states):
        return (student_states - teacher_states).square().mean()

    signals = ("student_states", "teacher_states")
    term = EngineTerm("whole", of_batch, signals, layers=LayerMap((0,), (0,)), mean="sequence")
    with pytest.raises(ConfigError, match="neither group nor weight of its own, got mean: sequence"):
        try_term(term, student_width=8, teacher_width=8)


def test_terms_carry_functions_schedules_and_names_of_their_own():
    terms = build_terms(
        [
            Term(name="taid", options={"t": {"schedule": "linear", "start": 0.0, "stop": 1.0}}),
            Term(name="jsd", weight={"schedule": "linear", "start": 2.0, "stop": 0.0}, options={"beta": 0.5}),
            Term(name="jsd", options={"beta": 0.1}),
            Term(name="cross_entropy", on="label"),
        ]
    )
    assert [term.name for term in terms] == ["taid", "jsd", "jsd_2", "cross_entropy_label"]
    assert [term.objective for term in terms[:2]] == [taid, jsd]
    assert terms[0].hyperparameters_at(5, 11) == {"t": 0.5}
    assert terms[1].weight_at(10, 11) == 0.0


@pytest.mark.parametrize(
    ("term", "message"),
    [
        (Term(name="jsd", options={"beta": 2}), r"beta must lie"),
        # Wrong at its end only: both ends of a schedule are tried.
        (
            Term(name="taid", options={"t": {"schedule": "linear", "start": 0, "stop": 2}}),
            r"t must lie in \[0, 1\]",
        ),
        (Term(name="forward_kl", options={"temperature": "hot"}), r"forward_kl: "),
        (Term(name="patient", layers=Layers(student=(0,), teacher=(0,))), r"shapes must be equal"),
    ],
)
def test_a_hyperparameter_out_of_range_is_found_without_a_model(term, message):
    with pytest.raises(ConfigError, match=message):
        try_term(build_terms([term])[0], student_width=8, teacher_width=12)


def test_projectors_of_other_widths_are_refused_before_training():
    term = {
        "name": "dual_space",
        "trainable": {"module": "projectors", "student_width": 8, "teacher_width": 12},
    }
    built = build_terms([Term.model_validate(term)])[0]
    try_term(built, student_width=8, teacher_width=12)
    with pytest.raises(ConfigError, match="Give projectors the widths of both models"):
        try_term(built, student_width=8, teacher_width=16)


def test_what_is_learnt_beside_the_student_has_a_seed_of_its_own():
    term = Term.model_validate({"name": "clipped_kl", "trainable": {"module": "clip_window"}})

    def first(noise, **given):
        torch.manual_seed(noise)
        return float(build_terms([term, term], **given)[1].trainable.module.layers[0].weight[0, 0])

    assert first(1, seed=3) == first(2, seed=3) != first(1, seed=4)
    one, other = build_terms([term, term], seed=3)
    assert not torch.equal(one.trainable.module.layers[0].weight, other.trainable.module.layers[0].weight)
