"""Means by token and by sequence, weights of units, groups: by hand, and however the rows lie."""

from dataclasses import replace

import pytest
import torch

from limbeck.core.batch import Batch
from limbeck.core.errors import ConfigError
from limbeck.core.masks import IGNORE
from limbeck.core.outputs import Outputs
from limbeck.core.signals import Head
from limbeck.core.term import LayerMap, Term
from limbeck.objectives import cross_entropy, state_mse, uld
from limbeck.objectives.criterion import Criterion

V, H = 7, 5
LENGTHS = (2, 4, 1)  # tokens in the loss of each row
HEAD = Head(torch.randn(V, H, generator=torch.Generator().manual_seed(0)))


def row(place: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Hidden states and targets of one row; its first position is a prompt."""
    random = torch.Generator().manual_seed(place + 1)
    length = 1 + LENGTHS[place]
    targets = torch.randint(V, (length,), generator=random)
    targets[0] = IGNORE
    return torch.randn(length, H, generator=random), targets


def losses(place: int) -> torch.Tensor:
    hidden, targets = row(place)
    log_q = (hidden @ HEAD.weight.T).log_softmax(-1)
    return -log_q[torch.arange(1, len(targets)), targets[1:]]


def padded(*places: int) -> tuple[Batch, torch.Tensor]:
    width = max(len(row(place)[1]) for place in places)
    hidden, targets = torch.full((len(places), width, H), 9.0), torch.full((len(places), width), IGNORE)
    mask = torch.zeros(len(places), width, dtype=torch.long)
    for line, place in enumerate(places):
        h, t = row(place)
        hidden[line, : len(t)], targets[line, : len(t)], mask[line, : len(t)] = h, t, 1
    inputs = {"input_ids": mask, "attention_mask": mask}
    return Batch(inputs, targets, [(str(place),) for place in places]), hidden


def packed(*places: int) -> tuple[Batch, torch.Tensor]:
    rows = [row(place) for place in places]
    positions = torch.cat([torch.arange(len(targets)) for _, targets in rows])[None]
    inputs = {"input_ids": positions, "position_ids": positions}
    batch = Batch(inputs, torch.cat([targets for _, targets in rows])[None], [tuple(map(str, places))])
    return batch, torch.cat([hidden for hidden, _ in rows])[None]


def loss(term: Term, *steps: tuple[Batch, torch.Tensor], fused: bool = True) -> float:
    """Over several micro-batches of one step."""
    criterion = Criterion([term], fused=fused)
    counts = torch.stack([criterion.counts(batch) for batch, _ in steps]).sum(0)
    parts = []
    for batch, hidden in steps:
        answer = Outputs(hidden=hidden.clone().requires_grad_(), head=HEAD)
        parts.append(criterion(answer, None, batch, counts=counts, step=0, total_steps=1)[0].detach())
    return float(sum(parts))


BY_TOKEN = Term("ce", cross_entropy, ("student_logits", "labels"))
BY_SEQUENCE = replace(BY_TOKEN, mean="sequence")


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("lay", [padded, packed])
def test_the_two_means_by_hand(lay, fused):
    by_token = torch.cat([losses(place) for place in range(3)]).mean()
    by_sequence = torch.stack([losses(place).mean() for place in range(3)]).mean()
    assert abs(by_token - by_sequence) > 0.01
    assert loss(BY_TOKEN, lay(0, 1, 2), fused=fused) == pytest.approx(float(by_token), rel=1e-5)
    assert loss(BY_SEQUENCE, lay(0, 1, 2), fused=fused) == pytest.approx(float(by_sequence), rel=1e-5)


@pytest.mark.parametrize("lay", [padded, packed])
def test_micro_batches_do_not_change_the_mean_of_sequences(lay):
    assert loss(BY_SEQUENCE, lay(0), lay(1, 2)) == pytest.approx(loss(BY_SEQUENCE, lay(0, 1, 2)), rel=1e-5)


@pytest.mark.parametrize("fused", [True, False])
def test_a_weight_multiplies_units_and_not_their_number(fused):
    batch, hidden = padded(0, 1, 2)
    weights = torch.rand(batch.targets.shape, generator=torch.Generator().manual_seed(4))
    batch = replace(batch, signals={"importance": weights})
    each = [weights[place, 1 : 1 + LENGTHS[place]] * losses(place) for place in range(3)]
    for term, expected in (
        (BY_TOKEN, torch.cat(each).mean()),
        (BY_SEQUENCE, sum(e.mean() for e in each) / 3),
    ):
        found = loss(replace(term, weighted_by="importance"), (batch, hidden), fused=fused)
        assert found == pytest.approx(float(expected), rel=1e-5)


def grouped(batch: Batch, *names: int) -> Batch:
    groups = torch.tensor(names)[:, None].expand_as(batch.targets)
    groups = torch.where(batch.targets == IGNORE, IGNORE, groups)
    return replace(batch, groups=groups, group_names=("data", "student"))


@pytest.mark.parametrize("fused", [True, False])
def test_a_group_is_alone_in_its_mean_even_where_micro_batches_hold_none_of_it(fused):
    (first, h1), (second, h2) = padded(0, 1), padded(2)
    steps = [(grouped(first, 1, 0), h1), (grouped(second, 0), h2)]
    mine = replace(BY_SEQUENCE, on="data")
    expected = (losses(1).mean() + losses(2).mean()) / 2
    assert loss(mine, *steps, fused=fused) == pytest.approx(float(expected), rel=1e-5)
    other = replace(BY_SEQUENCE, on="student")
    assert loss(other, *steps, fused=fused) == pytest.approx(float(losses(0).mean()), rel=1e-5)


def test_a_weight_that_the_batch_does_not_have_is_refused():
    with pytest.raises(ConfigError, match="ce is weighted by 'importance', but the batch has no signals"):
        loss(replace(BY_TOKEN, weighted_by="importance"), padded(0))


@pytest.mark.parametrize("fused", [True, False])
def test_a_teacher_with_a_vocabulary_of_its_own_is_read_on_both_paths(fused):
    random = torch.Generator().manual_seed(5)
    head = Head(torch.randn(V + 4, H, generator=random))
    batch, hidden = padded(0, 1)
    teacher = torch.randn(*hidden.shape, generator=random)
    answer = Outputs(hidden=teacher, head=head) if fused else Outputs(logits=teacher @ head.weight.T)
    term = Term("uld", uld, ("student_logits", "teacher_own_logits"))
    criterion = Criterion([term], fused=fused)
    student = Outputs(hidden=hidden, head=HEAD)
    total, _ = criterion(student, answer, batch, counts=criterion.counts(batch), step=0, total_steps=1)
    loss_mask = batch.loss_mask
    q, p = ((x[loss_mask] @ w.weight.T).softmax(-1) for x, w in ((hidden, HEAD), (teacher, head)))
    ordered = [side.sort(-1, descending=True).values for side in (q, p)]
    ordered[0] = torch.nn.functional.pad(ordered[0], (0, 4))
    torch.testing.assert_close(total, (ordered[0] - ordered[1]).abs().sum(-1).mean())


def by_token(student_states, teacher_states):
    return (student_states - teacher_states).square().mean((1, 3))


def by_row(student_states, teacher_states):
    return by_token(student_states, teacher_states).mean(-1)


def by_batch(student_states, teacher_states):
    return by_token(student_states, teacher_states).mean()


def on_states(objective, **changed) -> Term:
    signals = ("student_states", "teacher_states")
    return Term("states", objective, signals, layers=LayerMap((0,), (0,)), **changed)


def states_loss(term: Term, *steps: Batch, values: torch.Tensor) -> float:
    """Of a student whose squared distance to the teacher is `values` [B, T] in the rows of all steps."""
    criterion, first = Criterion([term]), 0
    counts = torch.stack([criterion.counts(batch) for batch in steps]).sum(0)
    total = 0.0
    for batch in steps:
        own = values[first : first + batch.rows].sqrt()[..., None]
        first += batch.rows
        answers = Outputs(taps={("states", 0): own}), Outputs(taps={("states", 0): torch.zeros_like(own)})
        total += float(criterion(*answers, batch, counts=counts, step=0, total_steps=1)[0])
    return total


def of_states(targets: list[list[int]] | list[int] | None, mask: list[list[int]], **changed) -> Batch:
    read = torch.tensor(mask)
    given = None if targets is None else torch.tensor(targets)
    inputs = {"input_ids": read, "attention_mask": read}
    return Batch(inputs, given, [(str(row),) for row in range(len(mask))], **changed)


N = IGNORE
VALUES = torch.tensor([[1.0, 2.0, 4.0], [8.0, 16.0, 1000.0]])
READ = [[1, 1, 1], [1, 1, 0]]
TARGETS = [[N, 3, 3], [3, N, N]]


@pytest.mark.parametrize(
    ("targets", "mean", "expected"),
    [
        (TARGETS, "token", (2 + 4 + 8) / 3),
        (TARGETS, "sequence", ((2 + 4) / 2 + 8) / 2),
        ([N, 1], "token", (8 + 16) / 2),  # one target a row: all its tokens
        (None, "token", (1 + 2 + 4 + 8 + 16) / 5),
        (None, "sequence", (7 / 3 + 24 / 2) / 2),
    ],
)
def test_one_value_a_token_of_states_is_a_mean_over_the_tokens_in_the_loss(targets, mean, expected):
    batch = of_states(targets, READ)
    assert states_loss(on_states(by_token, mean=mean), batch, values=VALUES) == pytest.approx(expected)


def test_micro_batches_of_states_add_up_to_the_whole_step():
    parts = of_states(TARGETS[:1], READ[:1]), of_states(TARGETS[1:], READ[1:])
    assert states_loss(on_states(by_token), *parts, values=VALUES) == pytest.approx(14 / 3)
    rows = VALUES.mean(1)
    assert states_loss(on_states(by_row), *parts, values=VALUES) == pytest.approx(float(rows.mean()))


def test_a_group_and_a_weight_choose_among_the_tokens_of_states():
    groups = torch.tensor([[N, 0, 1], [1, N, N]])
    weights = torch.tensor([[9.0, 9.0, 0.5], [0.25, 9.0, 9.0]])
    names = ("label", "rationale")
    batch = of_states(TARGETS, READ, groups=groups, group_names=names, signals={"w": weights})
    term = on_states(by_token, on="rationale", weighted_by="w")
    assert states_loss(term, batch, values=VALUES) == pytest.approx((4 * 0.5 + 8 * 0.25) / 2)
    rows = of_states(
        [1, 1], READ, groups=torch.tensor([0, 1]), group_names=names, signals={"w": weights[:, 2]}
    )
    assert states_loss(term, rows, values=VALUES) == pytest.approx((8 + 16) / 2 * 9)


def test_one_value_a_row_counts_the_rows_that_have_something_in_the_loss():
    batch = of_states([[N, N, N], [3, N, N]], READ)
    assert states_loss(on_states(by_row), batch, values=VALUES) == pytest.approx(float(VALUES[1].mean()))
    groups = torch.tensor([[N, 0, 0], [1, N, N]])
    batch = of_states(TARGETS, READ, groups=groups, group_names=("data", "student"))
    found = states_loss(on_states(by_row, on="data"), batch, values=VALUES)
    assert found == pytest.approx(float(VALUES[0].mean()))


def test_one_value_a_batch_counts_the_batches_that_have_something_in_the_loss():
    parts = of_states([[N, N, N]], READ[:1]), of_states(TARGETS[1:], READ[1:])
    assert states_loss(on_states(by_batch), *parts, values=VALUES) == pytest.approx(float(VALUES[1].mean()))


def test_a_value_outside_of_the_loss_may_be_anything():
    values = torch.where(torch.tensor(READ) == 1, VALUES, torch.inf)
    assert states_loss(on_states(by_token), of_states(None, READ), values=values) == pytest.approx(31 / 5)


def test_what_a_unit_does_not_have_is_refused():
    batch = of_states(TARGETS, READ, signals={"w": torch.ones(2, 3)})
    with pytest.raises(ConfigError, match="one value a batch, which has neither group nor weight"):
        states_loss(on_states(by_batch, weighted_by="w"), batch, values=VALUES)
    with pytest.raises(ConfigError, match="one value a row, and 'w' weighs tokens"):
        states_loss(on_states(by_row, weighted_by="w"), batch, values=VALUES)
    with pytest.raises(ConfigError, match=r"one value for each of \(2, 3\) tokens, got \(2, 2\)"):
        states_loss(on_states(lambda s, t: by_token(s, t)[:, :2]), batch, values=VALUES)
    packs = replace(batch, inputs={"input_ids": batch.inputs["input_ids"], "position_ids": torch.zeros(2, 3)})
    with pytest.raises(ConfigError, match="its rows must not share packs"):
        states_loss(on_states(by_row), packs, values=VALUES)


def test_an_objective_on_states_may_read_the_labels():
    def of_label(student_states, labels):
        return student_states[:, 0, :, 0].square() * labels

    term = Term("states", of_label, ("student_states", "labels"), layers=LayerMap((0,), (0,)))
    assert states_loss(term, of_states(TARGETS, READ), values=VALUES) == pytest.approx(3 * 14 / 3)


def test_the_mask_of_a_seq2seq_model_is_that_of_its_decoder():
    batch = of_states([[3, N], [3, 3]], [[1, 1, 1, 1], [1, 1, 1, 0]])
    batch = replace(batch, inputs={**batch.inputs, "decoder_input_ids": torch.zeros(2, 2)})
    assert batch.attention_mask.tolist() == [[1, 0], [1, 1]]
    term = replace(on_states(state_mse), signals=("student_states", "teacher_states", "attention_mask"))
    assert states_loss(term, batch, values=VALUES[:, :2]) == pytest.approx((1 + 24 / 2) / 2)
