"""Sequence correction on scripted models: the planted error is found, the prefix kept, the rest rewritten."""

import torch

from limbeck.inference.request import TokenIds
from limbeck.inference.sample import sample
from limbeck.rollouts.revise import revise
from limbeck.rollouts.rollout import Rollout
from limbeck.rollouts.writers import WriteOptions
from tests.rollouts.world import Script, chain, writers_of
from tests.tiny import tiny_llama

SIZE = 16
IDS = TokenIds((2,), 0)
OPTIONS = WriteOptions(max_new_tokens=6, sampling_temperature=1.0, top_p=1.0, guide_share=0.0, seed=0)


def revised(student: torch.Tensor, teacher: torch.Tensor, answer: tuple[int, ...], room: int = 6):
    (found,) = all_revised(student, teacher, [answer], room)
    return found


def all_revised(student: torch.Tensor, teacher: torch.Tensor, answers: list[tuple[int, ...]], room: int):
    writers = writers_of(Script(student), Script(teacher), IDS, SIZE)
    row = Rollout("r", (3, 4), (False, False))
    rows = [row.answered((3, 4), answer, "student") for answer in answers]
    found = revise(rows, [2] * len(rows), writers=writers, room=room, options=OPTIONS)
    for row in found:
        assert row.is_target == (False, False) + (True,) * (len(row.ids) - 2)
        assert (row.row_id, row.source, row.ids[:2]) == ("r", "student", (3, 4))
    return [row.ids[2:] for row in found]


def test_the_planted_error_is_replaced_and_the_rest_written_by_the_student():
    # Both count upwards; after 6 the teacher says 10. The student goes on counting from there.
    assert revised(chain(SIZE), chain(SIZE, t6=10), (5, 6, 7, 8, 9, 10)) == (5, 6, 10, 11, 12, 13)


def test_of_two_errors_the_one_with_the_larger_divergence_is_corrected():
    teacher = chain(SIZE, t5=12, t7=14)
    teacher[5] *= 0.2  # less certain: the divergence there is smaller
    assert revised(chain(SIZE), teacher, (5, 6, 7, 8)) == (5, 6, 7, 14, 15, 15)


def test_a_large_divergence_without_another_token_is_no_error():
    teacher = chain(SIZE, t7=14)
    teacher[5] *= 0.01  # nearly uniform, but 6 stays the likeliest
    assert revised(chain(SIZE), teacher, (5, 6, 7, 8)) == (5, 6, 7, 14, 15, 15)


def test_an_error_in_the_first_token_is_seen():
    assert revised(chain(SIZE), chain(SIZE, t4=9), (5, 6, 7)) == (9, 10, 11, 12, 13, 14)


def test_equal_models_leave_the_answer_as_it_is():
    assert revised(chain(SIZE), chain(SIZE), (5, 6, 7, 8)) == (5, 6, 7, 8)


def test_a_teacher_that_ends_ends_the_answer():
    assert revised(chain(SIZE), chain(SIZE, t6=2), (5, 6, 7, 8)) == (5, 6, 2)


def test_an_answer_does_not_grow_beyond_its_room():
    assert revised(chain(SIZE), chain(SIZE, t6=10), (5, 6, 7), room=3) == (5, 6, 10)
    assert revised(chain(SIZE), chain(SIZE, t6=10), (5, 6, 7), room=4) == (5, 6, 10, 11)


def test_answers_of_a_batch_have_room_of_their_own():
    answers = [(5, 6, 7), (5, 5, 5, 5, 5, 6, 7)]
    # The second one is corrected late: one token is left to write, though the first has more room.
    found = all_revised(chain(SIZE), chain(SIZE, t6=10), [answers[0], answers[1]], 8)
    assert found[0] == (5, 6, 10, 11, 12, 13, 14, 15)
    assert len(found[1]) <= 8
    assert found == [all_revised(chain(SIZE), chain(SIZE, t6=10), [answer], 8)[0] for answer in answers]


def test_a_long_row_that_is_corrected_late_and_a_short_one_early_both_fit_the_context():
    # 64 positions; 40 + 20 tokens and 4 + 20. The short one has 18 tokens to go, which the long one has not.
    student, teacher = (tiny_llama(seed=seed, max_position_embeddings=64) for seed in (0, 1))
    writers = writers_of(student, teacher, TokenIds((), 0), 320)
    rows = []
    for name, size in (("long", 40), ("short", 4)):
        prompt = tuple(range(10, 10 + size))
        answer = tuple(range(60, 80))
        rows.append(Rollout(name, prompt, (False,) * size).answered(prompt, answer, "student"))
    found = revise(rows, [40, 4], writers=writers, room=20, options=OPTIONS)
    assert [len(row.ids) for row in found] == [60, 24]


def test_prompts_have_limits_of_their_own():
    model = tiny_llama()
    options = {"tokenizer_or_ids": TokenIds((), 0), "sampling_temperature": 0.0}
    prompts, limits = [[5, 9, 20], [7], [40, 41]], [2, 6, 1]
    free = sample(model, prompts, max_new_tokens=6, **options)
    found = sample(model, prompts, max_new_tokens=limits, **options)
    assert [one.ids for one in found] == [one.ids[:limit] for one, limit in zip(free, limits, strict=True)]
    assert not any(one.stopped for one in found)
