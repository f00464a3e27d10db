"""What a step learns from: who writes which rows, where they end, and what comes beside them."""

from pathlib import Path

import pytest
import torch

from limbeck.core.batch import Batch
from limbeck.core.masks import IGNORE
from limbeck.core.rollouts import SOURCES
from limbeck.inference.request import TokenIds
from limbeck.rollouts.rollout import prompt_length
from limbeck.runs.assembly.transforms.corpus import Corpus
from tests.engine.world import Rows
from tests.rollouts.world import EOS, make_rollouts, window

DATA, STUDENT, TEACHER, CORPUS = range(4)


def rows_of(batches: list[Batch]) -> list[tuple[str, list[int], list[int], int]]:
    """Row id, token ids, learnt ids and source of every row, in order."""
    found = []
    for batch in batches:
        for line, names in enumerate(batch.row_ids):
            length = int(batch.inputs["attention_mask"][line].sum())
            loss_mask = batch.targets[line] != IGNORE
            sources = set(batch.groups[line][loss_mask].tolist())
            assert len(sources) == 1
            assert (batch.groups[line][~loss_mask] == IGNORE).all()
            ids = batch.inputs["input_ids"][line, :length].tolist()
            found.append((names[0], ids, batch.targets[line][loss_mask].tolist(), sources.pop()))
    return found


def data_row(name: str) -> tuple[list[int], int]:
    """Ids of a data row, and the length of its prompt by the engine's world."""
    ids = Rows().ids[int(name.removeprefix("row-"))].tolist()
    return ids, len(ids) // 3


def test_nothing_after_an_end_is_learnt_and_unstopped_answers_are_learnt_whole(tmp_path: Path):
    made = rows_of(make_rollouts(tmp_path, max_new_tokens=5)(window(range(24)), 0, 9))
    lengths = set()
    for name, ids, loss_mask, source in made:
        data, prompt = data_row(name)
        prompt = prompt if prompt > 1 else 2  # a prompt of one token passes for plain text
        assert source == STUDENT
        assert ids == data[:prompt] + loss_mask  # the answer, all of it, and nothing else
        ended = [token in EOS for token in loss_mask]
        assert not any(ended[:-1])
        assert ended[-1] or len(loss_mask) == 5
        lengths.add(len(loss_mask))
    assert {1, 5} <= lengths  # one that ended at once, and one that did not end


def test_sources_are_drawn_by_row_whatever_the_micro_batches(tmp_path: Path):
    options = {"student": 0.4, "teacher": 0.3}
    whole = make_rollouts(tmp_path / "a", **options)(window(range(24)), 3, 9)
    parts = make_rollouts(tmp_path / "b", **options)(window(range(8), range(8, 10), range(10, 24)), 3, 9)
    assert [batch.rows for batch in parts] == [8, 2, 14]
    assert rows_of(whole) == rows_of(parts)
    sources = [source for *_, source in rows_of(whole)]
    assert set(sources) == {DATA, STUDENT, TEACHER}


def test_sources_are_drawn_anew_in_every_step_with_the_right_shares(tmp_path: Path):
    rollouts = make_rollouts(tmp_path, student=0.5, teacher=0.2, max_new_tokens=1)
    drawn = [source for step in range(40) for *_, source in rows_of(rollouts(window(range(24)), step, 40))]
    share = [drawn.count(source) / len(drawn) for source in (DATA, STUDENT, TEACHER)]
    # Three deviations of a share of 960 draws are below 0.05.
    assert share == pytest.approx([0.3, 0.5, 0.2], abs=0.05)


def test_rows_that_are_not_drawn_stay_as_they_are(tmp_path: Path):
    for name, ids, loss_mask, source in rows_of(
        make_rollouts(tmp_path, student=0.5)(window(range(24)), 0, 9)
    ):
        data, prompt = data_row(name)
        if source == DATA:
            assert ids == data
            assert loss_mask == data[max(prompt, 1) :]


def test_a_whole_step_is_drawn_at_once_if_asked(tmp_path: Path):
    rollouts = make_rollouts(tmp_path, student=0.5, draw="step", max_new_tokens=1)
    found = [{source for *_, source in rows_of(rollouts(window(range(6)), step, 20))} for step in range(20)]
    assert all(len(sources) == 1 for sources in found)
    assert set().union(*found) == {DATA, STUDENT}


def test_the_datas_rows_can_stand_beside_the_written_ones(tmp_path: Path):
    made = make_rollouts(tmp_path, beside=True)(window([3, 4], [5]), 0, 9)
    assert [batch.rows for batch in made] == [2, 1, 2, 1]
    assert [source for *_, source in rows_of(made)] == [STUDENT] * 3 + [DATA] * 3
    assert [name for name, *_ in rows_of(made)] == ["row-3", "row-4", "row-5"] * 2
    assert all(batch.group_names == SOURCES for batch in made)


def test_a_corpus_comes_beside_and_does_not_depend_on_micro_batches(tmp_path: Path):
    def made(*parts: range) -> list[Batch]:
        written = make_rollouts(tmp_path / str(len(parts)))(window(*parts), 2, 9)
        return Corpus(Rows(), [len(part) for part in parts], seed=7)(written, 2, 9)

    whole, parts = made(range(8)), made(range(4), range(4, 8))
    assert [batch.rows for batch in parts] == [4, 4, 4, 4]
    assert rows_of(whole) == rows_of(parts)
    text = [row for row in rows_of(whole) if row[3] == CORPUS]
    assert len({name for name, *_ in text}) == 8  # each once: there are enough


def test_ranks_draw_with_numbers_of_their_own(tmp_path: Path):
    options = {"ids": TokenIds((), 0), "max_new_tokens": 6}
    first, second = (
        rows_of(make_rollouts(tmp_path, rank=(number, 2), **options)(window(range(8)), 0, 9))
        for number in (0, 1)
    )
    assert [name for name, *_ in first] == [name for name, *_ in second]
    assert first != second


def test_the_same_seed_writes_the_same_and_another_seed_does_not(tmp_path: Path):
    made = [
        rows_of(make_rollouts(tmp_path / str(place), seed=seed)(window(range(8)), 0, 9))
        for place, seed in enumerate((0, 0, 1))
    ]
    assert made[0] == made[1] != made[2]


@pytest.mark.parametrize(
    ("is_target", "expected"),
    [
        ([0, 0, 0, 1, 1], 3),
        ([0, 0, 1, 1, 0, 0, 0, 1, 1, 0], 7),  # of several turns the last answer is written anew
        ([1] * 30, 16),  # plain text
        ([0] + [1] * 29, 16),  # plain text behind a first token that is always there
        ([1] * 9, 8),  # one token must remain to be written
        ([0, 0, 1, 1, 1, 1], 2),  # a short instruction is not filled up from its answer
    ],
)
def test_a_prompt_is_what_comes_before_the_last_answer(is_target, expected):
    assert prompt_length([bool(mark) for mark in is_target], 16) == expected


def test_a_training_may_start_again_with_other_rows_in_its_steps(tmp_path: Path):
    # Another number of ranks: what the journal has was written for other rows.
    make_rollouts(tmp_path)(window(range(8)), 0, 9)
    again = make_rollouts(tmp_path)(window(range(4, 12)), 0, 9)
    assert [name for name, *_ in rows_of(again)] == [f"row-{row}" for row in range(4, 12)]


def test_the_corpus_draws_other_rows_in_every_step():
    def drawn(*sizes: int, step: int = 0) -> list[str]:
        made = Corpus(Rows(), sizes, seed=7)(window([0]), step, 9)[1:]
        return [name for batch in made for (name,) in batch.row_ids]

    found = [drawn(4, 4, step=step) for step in range(3)]
    assert found[0] != found[1] != found[2]
    assert len(drawn(30)) == 30  # more than there are: some twice


def test_targets_are_the_next_ids_at_answers_and_nothing_else(tmp_path: Path):
    (batch,) = make_rollouts(tmp_path)(window(range(6)), 0, 9)
    ids, targets = batch.inputs["input_ids"], batch.targets
    loss_mask = targets != IGNORE
    assert torch.equal(targets[:, :-1][loss_mask[:, :-1]], ids[:, 1:][loss_mask[:, :-1]])
    assert not loss_mask[:, -1].any()
    lengths = batch.inputs["attention_mask"].sum(1)
    assert all(
        int(line.nonzero().max()) == length - 2 for line, length in zip(loss_mask, lengths, strict=True)
    )
