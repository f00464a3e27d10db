"""Ensembles against values worked out by hand, their limits, and sums over single teachers."""

import math
from dataclasses import replace

import pytest
import torch

from limbeck.core.batch import Batch
from limbeck.core.errors import ConfigError
from limbeck.core.forward_model import ForwardModel, project
from limbeck.core.masks import IGNORE
from limbeck.core.needs import DISTRIBUTION, at
from limbeck.core.outputs import Outputs
from limbeck.core.signals import Head, MixedHead, TopK
from limbeck.core.term import Term
from limbeck.objectives import cross_entropy, forward_kl, reverse_kl, total_variation
from limbeck.objectives.criterion import Criterion
from limbeck.teachers import ByColumn, ByLikelihood, EnsembleTeacher, LocalTeacher, Member
from tests.tiny import VOCABULARY, random_ids, tiny_classifier, tiny_gpt2, tiny_llama

P, Q = (0.7, 0.2, 0.1), (0.2, 0.5, 0.3)
MEANS = ("probabilities", "logits", "losses")


class Says:
    """A teacher that gives every position the same distribution, in the form that is asked for."""

    def __init__(self, probabilities, *, width=3, softcap=None, form="hidden"):
        scores = torch.tensor(probabilities, dtype=torch.float32).log()
        if softcap:
            scores = softcap * torch.atanh(scores / softcap)
        self.hidden, self.form = torch.ones(width) / width, form
        self.head = Head(scores[:, None].expand(-1, width).contiguous(), softcap=softcap)
        self.rows = []

    def answer(self, batch, needs):
        self.rows.append([one for row in batch.row_ids for one in row])
        hidden = self.hidden.expand(*batch.targets.shape, -1)
        if self.form == "hidden":
            return Outputs(hidden=hidden, head=self.head)
        return Outputs(logits=project(hidden, self.head))

    def to(self, device):
        return self


class Stored:
    """A teacher that gives every position the same top-k."""

    def __init__(self, ids, probabilities, tail):
        self.topk = torch.tensor(ids), torch.tensor(probabilities).log(), torch.tensor(tail).log()

    def answer(self, batch, needs):
        ids, log_probs, tail = self.topk
        shape = batch.targets.shape
        return Outputs(topk=TopK(ids.expand(*shape, -1), log_probs.expand(*shape, -1), tail.expand(shape)))


def asked(rows=2, length=4, **more):
    ids = random_ids(rows, length)
    targets = random_ids(rows, length, seed=1)
    targets[:, 0] = IGNORE
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    return Batch(inputs, targets, [[f"row-{row}"] for row in range(rows)], **more)


def ensemble(*teachers, mean="probabilities", route=None, **columns):
    members = [
        Member(teacher, f"m{place}", **{name: values[place] for name, values in columns.items()})
        for place, teacher in enumerate(teachers)
    ]
    return EnsembleTeacher(members, mean=mean, route=route)


def probabilities(answer):
    logits = answer.logits if answer.hidden is None else project(answer.hidden, answer.head)
    return logits.softmax(-1)


def loss_of(answer, batch, student, *, terms=None, fused=True):
    """Value, means of the terms, and the student's gradients."""
    student.zero_grad()
    terms = terms or [Term("forward_kl", forward_kl, ("student_logits", "teacher_logits"))]
    criterion = Criterion(terms, fused=fused)
    read = ForwardModel(student, VOCABULARY).probe().read(batch.inputs, DISTRIBUTION)
    total, means = criterion(read, answer, batch, counts=criterion.counts(batch), step=0, total_steps=1)
    total.backward()
    return total.detach(), means, student.lm_head.weight.grad.clone()


@pytest.mark.parametrize("form", ["hidden", "logits"])
@pytest.mark.parametrize(
    ("weights", "expected"), [((0.5, 0.5), (0.45, 0.35, 0.2)), ((1, 3), (0.325, 0.425, 0.25))]
)
def test_a_mean_of_probabilities_is_the_one_worked_out_by_hand(form, weights, expected):
    both = ensemble(Says(P, form=form), Says(Q, width=5, form=form), weight=weights)
    found = probabilities(both.answer(asked(), DISTRIBUTION))
    torch.testing.assert_close(found, torch.tensor(expected).expand_as(found))


@pytest.mark.parametrize("form", ["hidden", "logits"])
@pytest.mark.parametrize("softcap", [None, 30.0])
def test_a_mean_of_logits_is_the_normalised_geometric_mean(form, softcap):
    # sqrt(p q) = sqrt(0.14), sqrt(0.1), sqrt(0.03)
    roots = [math.sqrt(value) for value in (0.14, 0.1, 0.03)]
    teachers = Says(P, form=form, softcap=softcap), Says(Q, width=5, form=form)
    answer = ensemble(*teachers, mean="logits").answer(asked(), DISTRIBUTION)
    found = probabilities(answer)
    torch.testing.assert_close(found, torch.tensor([one / sum(roots) for one in roots]).expand_as(found))
    assert form == "logits" or isinstance(answer.head, MixedHead if softcap else Head)


@pytest.mark.parametrize("form", ["hidden", "logits"])
def test_each_teacher_has_a_temperature_of_its_own(form):
    # p at T = 2 is sqrt(p) / sum sqrt(p); q stays as it is.
    soft = [math.sqrt(value) for value in P]
    expected = [0.25 * one / sum(soft) + 0.75 * other for one, other in zip(soft, Q, strict=True)]
    both = ensemble(Says(P, form=form), Says(Q, form=form), weight=(1, 3), temperature=(2.0, 1.0))
    found = probabilities(both.answer(asked(), DISTRIBUTION))
    torch.testing.assert_close(found, torch.tensor(expected).expand_as(found))


@pytest.mark.parametrize("softcap", [None, 30.0])
def test_a_mean_of_losses_softens_each_teacher_for_itself(softcap):
    both = ensemble(Says(P, softcap=softcap), Says(Q), mean="losses", temperature=(2.0, 1.0))
    (weight, first), (_, second) = both.answer(asked(), DISTRIBUTION).members
    soft = [math.sqrt(value) for value in P]
    expected = torch.tensor([one / sum(soft) for one in soft])
    torch.testing.assert_close(probabilities(first), expected.expand(2, 4, 3))
    torch.testing.assert_close(probabilities(second), torch.tensor(Q).expand(2, 4, 3))
    assert weight == 0.5


@pytest.mark.parametrize("mean", MEANS)
@pytest.mark.parametrize("build", [tiny_llama, tiny_gpt2])
def test_the_same_model_twice_is_that_model(mean, build):
    batch, student = asked(), tiny_llama(seed=5, layers=1)
    single = LocalTeacher(build(seed=1), VOCABULARY)
    both = ensemble(single, single, mean=mean, weight=(1, 2))
    value, _, gradient = loss_of(single.answer(batch, DISTRIBUTION), batch, student)
    other, _, slope = loss_of(both.answer(batch, DISTRIBUTION), batch, student)
    torch.testing.assert_close(other, value)
    torch.testing.assert_close(slope, gradient, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("mean", MEANS)
def test_a_teacher_without_weight_is_not_asked(mean):
    batch, student = asked(), tiny_llama(seed=5, layers=1)
    single, silent = LocalTeacher(tiny_llama(seed=1), VOCABULARY), Says(P)
    value, _, _ = loss_of(single.answer(batch, DISTRIBUTION), batch, student)
    both = ensemble(single, silent, mean=mean, weight=(0.3, 0.0))
    other, _, _ = loss_of(both.answer(batch, DISTRIBUTION), batch, student)
    torch.testing.assert_close(other, value)
    assert not silent.rows
    with pytest.raises(ConfigError, match="a member with a weight above 0"):
        ensemble(single, weight=(0.0,))


TERMS = [
    Term("hard", cross_entropy, ("student_logits", "labels"), weight=0.3),
    Term("soft", reverse_kl, ("student_logits", "teacher_logits"), hyperparameters={"temperature": 2.0}),
    Term("apart", total_variation, ("student_logits", "teacher_logits"), weight=0.7),
]


@pytest.mark.parametrize("mean", MEANS)
def test_fused_equals_dense_in_value_and_gradient(mean):
    batch, student = asked(3, 7), tiny_llama(seed=5, layers=1)
    teachers = [
        LocalTeacher(tiny_llama(seed=seed, width=width), VOCABULARY) for seed, width in ((1, 32), (2, 48))
    ]
    both = ensemble(*teachers, mean=mean, weight=(1, 2), temperature=(1.0, 1.5))
    answer = both.answer(batch, DISTRIBUTION)
    found = [loss_of(answer, batch, student, terms=TERMS, fused=fused) for fused in (True, False)]
    for fused, dense in zip(*found, strict=True):
        torch.testing.assert_close(fused, dense, atol=1e-6, rtol=1e-4)


def test_the_fused_mixture_equals_probabilities_that_are_averaged_by_hand():
    batch, student = asked(3, 7), tiny_llama(seed=5, layers=1)
    models = [tiny_llama(seed=1), tiny_llama(seed=2, width=48)]
    with torch.no_grad():
        each = [model(**batch.inputs).logits.softmax(-1) for model in models]
    by_hand = Outputs(logits=(0.25 * each[0] + 0.75 * each[1]).log())
    both = ensemble(*(LocalTeacher(model, VOCABULARY) for model in models), weight=(1, 3))
    found = loss_of(both.answer(batch, DISTRIBUTION), batch, student, terms=TERMS)
    for one, other in zip(found, loss_of(by_hand, batch, student, terms=TERMS), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("fused", [True, False])
def test_a_mean_of_losses_is_the_sum_by_hand(fused):
    batch, student = asked(3, 7), tiny_llama(seed=5, layers=1)
    teachers = [LocalTeacher(tiny_llama(seed=seed), VOCABULARY) for seed in (1, 2)]
    answer = ensemble(*teachers, mean="losses", weight=(1, 3)).answer(batch, DISTRIBUTION)
    found = loss_of(answer, batch, student, terms=TERMS, fused=fused)
    single = [
        loss_of(teacher.answer(batch, DISTRIBUTION), batch, student, terms=TERMS, fused=False)
        for teacher in teachers
    ]
    for one, first, second in zip(found, *single, strict=True):
        torch.testing.assert_close(one, 0.25 * first + 0.75 * second, atol=1e-6, rtol=1e-4)


def grouped():
    groups = torch.tensor([0, 1, 1])[:, None].expand(3, 7)
    return asked(3, 7, groups=groups.contiguous(), group_names=("label", "rationale"))


@pytest.mark.parametrize("mean", MEANS)
def test_members_answer_the_units_of_their_task(mean):
    batch, student = grouped(), tiny_llama(seed=5, layers=1)
    first, second = (LocalTeacher(tiny_llama(seed=seed), VOCABULARY) for seed in (1, 2))
    both = ensemble(first, second, mean=mean, on=("label", "rationale"))
    signals = ("student_logits", "teacher_logits")
    for teacher, task in ((first, "label"), (second, "rationale")):
        terms = [Term("kl", forward_kl, signals, on=task)]
        value, _, gradient = loss_of(teacher.answer(batch, DISTRIBUTION), batch, student, terms=terms)
        other, _, slope = loss_of(both.answer(batch, DISTRIBUTION), batch, student, terms=terms)
        torch.testing.assert_close(other, value)
        torch.testing.assert_close(slope, gradient, atol=1e-6, rtol=1e-4)


def test_a_member_reads_only_the_rows_it_is_for():
    teachers = Says(P), Says(Q)
    ensemble(*teachers, on=("label", None)).answer(grouped(), DISTRIBUTION)
    assert [one.rows for one in teachers] == [[["row-0"]], [["row-0", "row-1", "row-2"]]]


@pytest.mark.parametrize("mean", MEANS)
def test_a_column_sends_rows_to_the_teacher_it_names(mean):
    batch, student = asked(3, 7), tiny_llama(seed=5, layers=1)
    teachers = [LocalTeacher(tiny_llama(seed=seed), VOCABULARY) for seed in (1, 2)]
    route = ByColumn("domain", {"row-0": "m1", "row-1": "m0", "row-2": "m1"})
    answer = ensemble(*teachers, mean=mean, route=route).answer(batch, DISTRIBUTION)
    dense = [
        project(*(getattr(t.answer(batch, DISTRIBUTION), name) for name in ("hidden", "head")))
        for t in teachers
    ]
    by_hand = torch.stack([dense[place][row] for row, place in enumerate((1, 0, 1))])
    found = loss_of(answer, batch, student)
    for one, other in zip(found, loss_of(Outputs(logits=by_hand), batch, student), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)


def test_rows_that_name_nobody_are_refused_by_name():
    with pytest.raises(ConfigError, match=r"domain must name a teacher .*\(m0, m1\), got else in row row-1"):
        ensemble(Says(P), Says(Q), route=ByColumn("domain", {"row-0": "m0", "row-1": "else"})).answer(
            asked(), DISTRIBUTION
        )


def test_windows_of_a_row_follow_the_row():
    route = ByColumn("domain", {"a": "m0", "b": "m1"})
    batch = replace(asked(), row_ids=[["a#1"], ["b"]])
    assert [one.any(-1).tolist() for one in route.asked(batch, ["m0", "m1"])] == [
        [True, False],
        [False, True],
    ]


@pytest.mark.parametrize("form", ["hidden", "logits"])
def test_likelihood_sends_each_row_to_the_teacher_that_expects_it(form):
    targets = torch.tensor([[IGNORE, 0, 0, 1], [IGNORE, 1, 2, 1]])  # P expects 0, Q the others
    batch = replace(asked(), targets=targets)
    answer = ensemble(Says(P, form=form), Says(Q, form=form), route=ByLikelihood()).answer(
        batch, DISTRIBUTION
    )
    found = probabilities(answer)
    torch.testing.assert_close(found[0], torch.tensor(P).expand(4, 3))
    torch.testing.assert_close(found[1], torch.tensor(Q).expand(4, 3))


def packed(batch):
    """The rows of a padded batch, one behind the other."""
    ids = batch.inputs["input_ids"].reshape(1, -1)
    places = torch.arange(batch.inputs["input_ids"].shape[1]).repeat(batch.rows)[None]
    names = [one for row in batch.row_ids for one in row]
    return Batch({"input_ids": ids, "position_ids": places}, batch.targets.reshape(1, -1), [names])


@pytest.mark.parametrize("mean", MEANS)
@pytest.mark.parametrize(
    "route", [None, ByColumn("domain", {"row-0": "m1", "row-1": "m0", "row-2": "m1"}), ByLikelihood()]
)
def test_packed_rows_learn_what_padded_rows_learn(mean, route):
    batch, student = asked(3, 7), tiny_llama(seed=5, layers=1)
    teachers = [LocalTeacher(tiny_llama(seed=seed), VOCABULARY) for seed in (1, 2)]
    both = ensemble(*teachers, mean=mean, route=route)
    found = [loss_of(both.answer(one, DISTRIBUTION), one, student) for one in (batch, packed(batch))]
    for padded, other in zip(*found, strict=True):
        torch.testing.assert_close(padded, other, atol=1e-6, rtol=1e-4)


def test_padding_behind_a_pack_is_no_row():
    # Two packs: of rows of 2 and 1 tokens with 1 of padding, and of one row of 4.
    places = torch.tensor([[0, 1, 0, 0], [0, 1, 2, 3]])
    targets = torch.tensor([[5, 5, 5, IGNORE], [5, 5, 5, 5]])
    batch = Batch({"input_ids": targets.abs(), "position_ids": places}, targets, [["a", "b"], ["c"]])
    first, second = ByColumn("who", {"a": "m0", "b": "m1", "c": "m0"}).asked(batch, ["m0", "m1"])
    assert first.tolist() == [[True, True, False, False], [True] * 4]
    assert second[:, :3].tolist() == [[False, False, True], [False] * 3]


def test_a_member_that_answers_some_rows_is_mixed_there_alone():
    both = ensemble(Says(P), Says(Q), on=(None, "label"), weight=(1, 3))
    found = probabilities(both.answer(grouped(), DISTRIBUTION))
    mixed = torch.tensor([0.25 * one + 0.75 * other for one, other in zip(P, Q, strict=True)])
    torch.testing.assert_close(found[0], mixed.expand(7, 3))
    torch.testing.assert_close(found[1], torch.tensor(P).expand(7, 3))


def test_class_scores_are_averaged_too():
    models = [tiny_classifier(seed=seed) for seed in (1, 2)]
    batch = Batch({"input_ids": random_ids(2, 6)}, torch.tensor([0, 1]), [["a"], ["b"]])
    each = [model(**batch.inputs).logits.detach().softmax(-1) for model in models]
    both = ensemble(*(LocalTeacher(model, None) for model in models), weight=(1, 3))
    found = both.answer(batch, DISTRIBUTION).logits
    torch.testing.assert_close(found.exp(), 0.25 * each[0] + 0.75 * each[1])


def test_one_output_has_no_probabilities_to_average():
    batch = Batch({"input_ids": random_ids(2, 6)}, torch.tensor([0, 1]), [["a"], ["b"]])
    single = LocalTeacher(tiny_classifier(classes=1), None)
    with pytest.raises(ConfigError, match="mean must be logits or losses for models with one output"):
        ensemble(single, single).answer(batch, DISTRIBUTION)
    found = ensemble(single, single, mean="logits").answer(batch, DISTRIBUTION).logits
    torch.testing.assert_close(found, single.answer(batch, DISTRIBUTION).logits)


def test_stored_ids_are_united_and_their_tails_added():
    first, second = Stored([4, 7], [0.6, 0.3], 0.1), Stored([7, 2, -1], [0.5, 0.3, 0.0], 0.2)
    ids, log_probs, log_tail = ensemble(first, second, weight=(1, 3)).answer(asked(), DISTRIBUTION).topk[:3]
    found = dict(zip(ids[0, 0].tolist(), log_probs[0, 0].exp().tolist(), strict=True))
    # 4: .6/4; 7: .3/4 + .5*3/4; 2: .3*3/4; tail: .1/4 + .2*3/4
    assert found == pytest.approx({4: 0.15, 7: 0.45, 2: 0.225}, rel=1e-5)
    torch.testing.assert_close(log_tail.exp(), torch.full((2, 4), 0.175))


def test_an_id_is_understated_by_no_more_than_the_tails_that_may_hold_it():
    scores = torch.randn(2, 50, generator=torch.Generator().manual_seed(0)) * 2
    each = scores.softmax(-1)
    stores = []
    for one in each:
        best, ids = one.topk(8)
        stores.append(Stored(ids.tolist(), best.tolist(), float(1 - best.sum())))
    ids, log_probs, log_tail = ensemble(*stores, weight=(2, 3)).answer(asked(), DISTRIBUTION).topk[:3]
    true = (0.4 * each[0] + 0.6 * each[1])[ids[0, 0]]
    missing = true - log_probs[0, 0].exp()
    tails = [1 - one.topk(8).values.sum() for one in each]
    assert missing.min() >= -1e-6 and missing.max() <= max(0.4 * tails[0], 0.6 * tails[1]) + 1e-6
    assert missing.max() > 1e-4
    torch.testing.assert_close(log_probs[0, 0].exp().sum() + log_tail[0, 0].exp(), torch.tensor(1.0))


def test_routed_stores_give_each_row_its_own():
    first, second = Stored([4, 7], [0.6, 0.3], 0.1), Stored([7, 2, 9], [0.5, 0.2, 0.1], 0.2)
    route = ByColumn("domain", {"row-0": "m1", "row-1": "m0"})
    ids, log_probs, log_tail = ensemble(first, second, route=route).answer(asked(), DISTRIBUTION).topk[:3]
    found = [dict(zip(ids[row, 0].tolist(), log_probs[row, 0].exp().tolist(), strict=True)) for row in (0, 1)]
    assert found[0] == pytest.approx({7: 0.5, 2: 0.2, 9: 0.1}, rel=1e-5)
    assert found[1] == pytest.approx({4: 0.6, 7: 0.3, -1: 0.0}, rel=1e-5)
    torch.testing.assert_close(log_tail.exp()[:, 0], torch.tensor([0.2, 0.1]))


def test_stores_and_models_go_together_for_losses_alone():
    stored, live = Stored([1], [0.9], 0.1), Says(P)
    with pytest.raises(ConfigError, match="top-k stores must be mixed with each other"):
        ensemble(stored, live).answer(asked(), DISTRIBUTION)
    with pytest.raises(ConfigError, match="top-k stores must be mixed with each other"):
        ensemble(stored, stored, mean="logits").answer(asked(), DISTRIBUTION)
    with pytest.raises(ConfigError, match="temperature must be 1 with a top-k store, got 2"):
        ensemble(stored, live, mean="losses", temperature=(2.0, 1.0)).answer(asked(), DISTRIBUTION)
    assert len(ensemble(stored, live, mean="losses").answer(asked(), DISTRIBUTION).members) == 2


def test_inner_layers_are_refused():
    with pytest.raises(ConfigError, match="an ensemble must be asked for its distribution alone"):
        ensemble(Says(P), Says(Q)).answer(asked(), DISTRIBUTION | at("states", -1))
