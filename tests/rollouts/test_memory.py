"""What rollouts remember: the journal of a killed step, the replay buffer, rounds."""

import json
from collections import Counter
from pathlib import Path

import pytest
import torch

from limbeck.core.batch import Batch
from limbeck.core.rollouts import Advantages, Replay, Round
from limbeck.rollouts import writers, writing
from limbeck.rollouts.replay import ReplayBuffer
from limbeck.rollouts.rollout import Rollout
from tests.rollouts.test_prepare import rows_of
from tests.rollouts.world import make_rollouts, tiny_student, window


class Killed(BaseException):
    pass


@pytest.fixture
def calls(monkeypatch):
    """Counts calls of `sample` in parts of two rows; `calls.append(n)` first kills the nth."""
    made, real = [], writers.sample

    def counted(*arguments, **options):
        if len(made) + 1 in deadly:
            raise Killed
        made.append(len(arguments[1]))
        return real(*arguments, **options)

    deadly: set[int] = set()
    monkeypatch.setattr(writing, "_PART", 2)
    monkeypatch.setattr(writers, "sample", counted)
    return made, deadly


def test_a_kill_while_writing_keeps_the_parts_that_are_whole(tmp_path: Path, calls):
    made, deadly = calls
    expected = rows_of(make_rollouts(tmp_path / "whole")(window(range(10)), 0, 9))
    assert made == [2] * 5
    made.clear()
    deadly.add(4)
    with pytest.raises(Killed):
        make_rollouts(tmp_path / "cut")(window(range(10)), 0, 9)
    deadly.clear()
    made.clear()
    # The same weights, as after a resume; another student would not be asked for the first three.
    assert rows_of(make_rollouts(tmp_path / "cut")(window(range(10)), 0, 9)) == expected
    assert made == [2, 2]


def test_student_and_teacher_have_parts_of_their_own(tmp_path: Path, calls):
    made, _ = calls
    options = {"student": 0.5, "teacher": 0.5}
    first = rows_of(make_rollouts(tmp_path, **options)(window(range(10)), 0, 9))
    assert sum(made) == 10
    made.clear()
    assert rows_of(make_rollouts(tmp_path, **options)(window(range(10)), 0, 9)) == first
    assert made == []


def test_the_journal_keeps_what_the_last_checkpoint_can_ask_for(tmp_path: Path):
    rollouts = make_rollouts(tmp_path)
    kept = []
    for step in range(6):
        rollouts(window(range(2)), step, 9)
        if step % 2:
            rollouts.state_dict()  # a checkpoint; a kill may leave the one before
        kept.append(sorted(int(path.name[:8]) for path in tmp_path.rglob("*.pt")))
    assert kept == [[0], [0, 1], [0, 1, 2], [2, 3], [2, 3, 4], [4, 5]]


# The replay buffer.


def answers(*names: str) -> list[Rollout]:
    return [Rollout(name, (5, 6), (False, True), "student") for name in names]


def test_the_oldest_make_place_and_what_is_taken_stays():
    buffer = ReplayBuffer(3, seed=0)
    buffer.add(answers("a", "b"))
    assert not buffer.is_full
    buffer.add(answers("c", "d"))
    assert buffer.is_full
    for step in range(20):
        assert sorted(one.row_id for one in buffer.take(3, step=step)) == ["b", "c", "d"]
    drawn = Counter(one.row_id for step in range(300) for one in buffer.take(1, step=step))
    assert all(70 < count < 130 for count in drawn.values())  # three deviations around 100


def test_a_buffer_comes_back_from_a_checkpoint():
    buffer, other = ReplayBuffer(3, seed=0), ReplayBuffer(3, seed=0)
    buffer.add(answers("a", "b", "c"))
    other.load_state_dict(json.loads(json.dumps(buffer.state_dict())))
    assert other.take(3, step=4) == buffer.take(3, step=4)


def test_only_a_full_buffer_is_read_and_reading_writes_nothing(tmp_path: Path, calls):
    made, _ = calls
    rollouts = make_rollouts(tmp_path, draw="step", replay=Replay(capacity=8), shares={"fresh": 0.0})
    first = rows_of(rollouts(window(range(4)), 0, 9))
    second = rows_of(rollouts(window(range(4, 8)), 1, 9))
    assert made == [2] * 4  # though never fresh: it has to fill
    third = rows_of(rollouts(window(range(8, 12)), 2, 9))
    assert made == [2] * 4
    assert all(row in first + second for row in third)


def test_the_share_of_fresh_completions_is_kept(tmp_path: Path):
    rollouts = make_rollouts(
        tmp_path, draw="step", replay=Replay(capacity=2), shares={"fresh": 0.3}, max_new_tokens=1
    )
    fresh = 0
    for step in range(200):
        before = rollouts.state_dict()["replay"]
        rollouts(window(range(2)), step, 200)
        fresh += rollouts.state_dict()["replay"] != before or step == 0
    # A fresh pair of single tokens can be the old one by chance, rarely; three deviations are 0.1.
    assert fresh / 200 == pytest.approx(0.3, abs=0.1)


def test_rollouts_of_a_checkpoint_take_from_the_same_buffer(tmp_path: Path):
    options = {"draw": "step", "replay": Replay(capacity=4), "shares": {"fresh": 0.0}}
    whole, again = make_rollouts(tmp_path / "a", **options), make_rollouts(tmp_path / "b", **options)
    whole(window(range(4)), 0, 9)
    again.load_state_dict(json.loads(json.dumps(whole.state_dict())))
    taken = rows_of(again(window(range(8, 12)), 1, 9))
    assert taken == rows_of(whole(window(range(8, 12)), 1, 9))
    assert {name for name, *_ in taken} == {f"row-{row}" for row in range(4)}


# Rounds.


def steps_of_round(folder: Path, *, prompts: int, epochs: int, steps: int) -> list[list[Batch]]:
    rollouts = make_rollouts(folder, round=Round(prompts=prompts, epochs=epochs))
    return [rollouts(window(range(2), range(2, 4)), step, steps) for step in range(steps)]


def test_a_round_has_every_prompt_once_and_every_pass_is_an_order_of_it(tmp_path: Path, calls):
    made, _ = calls
    # 8 prompts in steps of 4 rows, learnt from 3 times: a round is 6 steps.
    steps = [rows_of(batches) for batches in steps_of_round(tmp_path, prompts=8, epochs=3, steps=18)]
    assert sum(made) == 3 * 8
    rounds = [steps[start : start + 6] for start in (0, 6, 12)]
    for round_ in rounds:
        passes = [round_[k] + round_[k + 1] for k in (0, 2, 4)]
        assert sorted(passes[0]) == sorted(passes[1]) == sorted(passes[2])
        assert len({name for name, *_ in passes[0]}) == 8
        assert len({tuple(name for name, *_ in one) for one in passes}) == 3
    # Three rounds of 8 are one pass over the 24 rows.
    assert len({name for step in steps for name, *_ in step}) == 24


def test_a_round_is_rounded_up_to_whole_steps(tmp_path: Path):
    steps = [rows_of(batches) for batches in steps_of_round(tmp_path, prompts=5, epochs=1, steps=4)]
    assert len({name for step in steps[:2] for name, *_ in step}) == 8


def test_a_round_is_judged_once_by_the_student_that_wrote_it(tmp_path: Path):
    student = tiny_student()
    rollouts = make_rollouts(
        tmp_path, model=student, round=Round(prompts=4, epochs=2), needs_scores=True,
        advantages=Advantages(return_from="t+1", discount=1.0, whiten=True),
    )  # fmt: skip
    first = rollouts(window(range(4)), 0, 9)[0]
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.add_(0.05)
    second = rollouts(window(range(4)), 1, 9)[0]
    for name in ("advantages", "sampled_log_probs", "importance"):
        for line, names in enumerate(first.row_ids):
            other = list(second.row_ids).index(names)
            width = min(first.targets.shape[1], second.targets.shape[1])
            torch.testing.assert_close(
                first.signals[name][line, :width], second.signals[name][other, :width], atol=0, rtol=0
            )


def test_a_round_goes_on_after_a_kill_in_its_middle(tmp_path: Path, calls):
    made, _ = calls
    options = {"round": Round(prompts=4, epochs=2), "needs_scores": True, "advantages": Advantages()}
    student = tiny_student()
    whole = make_rollouts(tmp_path, model=student, **options)
    whole(window(range(4)), 0, 9)
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.add_(0.05)  # the weights of the checkpoint are no longer those that wrote
    expected = whole(window(range(4)), 1, 9)[0]
    made.clear()
    again = make_rollouts(tmp_path, model=student, **options)
    again.load_state_dict(whole.state_dict())
    got = again(window(range(4)), 1, 9)[0]
    assert made == []
    assert rows_of([got]) == rows_of([expected])
    for name, values in expected.signals.items():
        torch.testing.assert_close(got.signals[name], values, atol=0, rtol=0)
