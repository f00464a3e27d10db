"""The local teacher: frozen, without dropout, and its answers usable by a student's backward."""

import pytest
import torch

from limbeck.core.batch import Batch
from limbeck.core.errors import VocabularyError
from limbeck.core.forward_model import project
from limbeck.core.needs import DISTRIBUTION, at
from limbeck.teachers import LocalTeacher, Teacher
from tests.tiny import VOCABULARY, random_ids, tiny_classifier, tiny_llama, tiny_masked_bert, tiny_t5


def batch(ids=None, **more):
    ids = random_ids(2, 6) if ids is None else ids
    return Batch({"input_ids": ids, **more}, None, [[f"row-{i}"] for i in range(len(ids))])


def logits(answer):
    return answer.logits if answer.logits is not None else project(answer.hidden, answer.head)


@pytest.mark.parametrize("build", [tiny_llama, tiny_masked_bert, tiny_classifier, tiny_t5])
def test_the_answer_is_the_models_own_and_carries_no_gradient(build):
    model = build()
    asked = batch(**({"decoder_input_ids": random_ids(2, 4)} if build is tiny_t5 else {}))
    expected = model(**asked.inputs).logits.detach()
    teacher: Teacher = LocalTeacher(model, None)
    answer = teacher.answer(asked, DISTRIBUTION | at("states", -1))
    torch.testing.assert_close(logits(answer), expected, atol=1e-5, rtol=1e-4)
    given = [answer.hidden, answer.logits, answer.taps["states", -1], answer.head and answer.head.weight]
    assert not any(tensor.requires_grad for tensor in given if tensor is not None)
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_columns_beyond_the_shared_vocabulary_are_cut():
    model = tiny_llama()
    expected = model(input_ids=random_ids(2, 6, vocab=300)).logits[..., :300]
    answer = LocalTeacher(model, 300).answer(batch(random_ids(2, 6, vocab=300)), DISTRIBUTION)
    torch.testing.assert_close(logits(answer), expected, atol=1e-5, rtol=1e-4)


def test_a_vocabulary_larger_than_the_head_is_refused():
    with pytest.raises(VocabularyError, match=f"head of {VOCABULARY} ids, got 321"):
        LocalTeacher(tiny_llama(), VOCABULARY + 1)


def test_dropout_stays_off_even_when_someone_trains_what_holds_the_teacher():
    teacher = LocalTeacher(tiny_llama(attention_dropout=0.9).train(), None)
    first = logits(teacher.answer(batch(), DISTRIBUTION))
    teacher.model.train()
    assert torch.equal(logits(teacher.answer(batch(), DISTRIBUTION)), first)


def test_answers_enter_the_backward_of_a_student():
    student = tiny_llama(seed=1)
    answer = LocalTeacher(tiny_llama(), None).answer(batch(), DISTRIBUTION)
    hidden = student.model(**batch().inputs).last_hidden_state
    # Autograd must save the teacher's tensor for this product: an inference tensor would raise.
    (hidden * answer.hidden).sum().backward()
    assert student.model.embed_tokens.weight.grad.abs().sum() > 0


def test_autocast_decides_the_dtype_and_the_answer_stays_close():
    teacher = LocalTeacher(tiny_llama(), None)
    plain = logits(teacher.answer(batch(), DISTRIBUTION))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        answer = teacher.answer(batch(), DISTRIBUTION)
        half = logits(answer)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), plain, atol=0.1, rtol=0.1)
    again = logits(teacher.answer(batch(), DISTRIBUTION))
    assert torch.equal(again, plain)


def test_a_teacher_built_under_autocast_still_projects():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert LocalTeacher(tiny_llama(), None).reader.projects


def test_moving_returns_the_teacher_itself():
    teacher = LocalTeacher(tiny_llama(), None)
    assert teacher.to("cpu") is teacher


def loss_mask(ids, targets, names):
    mask = torch.ones_like(ids)
    return Batch({"input_ids": ids, "attention_mask": mask}, targets, [[name] for name in names])


def test_without_noise_the_answer_is_the_same_to_the_last_bit():
    plain, silent = LocalTeacher(tiny_llama(), None), LocalTeacher(tiny_llama(), None, noise=0.0, seed=3)
    one, other = plain.answer(batch(), DISTRIBUTION), silent.answer(batch(), DISTRIBUTION)
    assert other.logits is None and torch.equal(one.hidden, other.hidden)
    assert torch.equal(one.head.weight, other.head.weight)


def test_noise_has_the_asked_standard_deviation_where_something_is_learnt_and_nowhere_else():
    ids, targets = random_ids(4, 8), random_ids(4, 8, seed=1)
    targets[:, :3] = -100
    asked = loss_mask(ids, targets, "abcd")
    plain = logits(LocalTeacher(tiny_llama(), None).answer(asked, DISTRIBUTION))
    noisy = logits(LocalTeacher(tiny_llama(), None, noise=2.0).answer(asked, DISTRIBUTION))
    change = noisy - plain
    assert torch.equal(change[:, :3], torch.zeros_like(change[:, :3]))
    # 4 * 5 * 320 values: the standard error of a standard deviation of 2 is 2 / sqrt(12,800) = 0.018.
    assert change[:, 3:].std().item() == pytest.approx(2.0, abs=0.08)
    assert change[:, 3:].mean().item() == pytest.approx(0.0, abs=0.1)


def test_a_row_meets_the_same_noise_in_every_batch_and_another_with_another_seed():
    ids, targets = random_ids(3, 8), random_ids(3, 8, seed=1)
    targets[2, :5] = -100
    teacher = LocalTeacher(tiny_llama(), None, noise=1.0, seed=5)
    whole = logits(teacher.answer(loss_mask(ids, targets, "abc"), DISTRIBUTION))
    alone = logits(teacher.answer(loss_mask(ids[2:], targets[2:], "c"), DISTRIBUTION))
    torch.testing.assert_close(alone[0], whole[2], atol=1e-5, rtol=1e-5)
    other = LocalTeacher(tiny_llama(), None, noise=1.0, seed=6)
    assert (logits(other.answer(loss_mask(ids, targets, "abc"), DISTRIBUTION)) - whole).abs().max() > 0.1


def test_a_row_meets_the_same_noise_in_a_pack():
    ids, targets = random_ids(2, 8), random_ids(2, 8, seed=1)
    targets[:, -1] = -100
    positions = torch.arange(8).repeat(2)[None]
    packed = Batch(
        {"input_ids": ids.view(1, 16), "position_ids": positions}, targets.view(1, 16), [["a", "b"]]
    )
    noise = []
    for asked in (loss_mask(ids, targets, "ab"), packed):
        plain, noisy = (
            logits(LocalTeacher(tiny_llama(), None, noise=size, seed=5).answer(asked, DISTRIBUTION))
            for size in (0.0, 1.0)
        )
        noise.append((noisy - plain).view(2, 8, -1))
    torch.testing.assert_close(noise[1], noise[0], atol=1e-5, rtol=0)


def test_class_scores_are_noisy_too():
    asked = Batch({"input_ids": random_ids(2, 6)}, torch.tensor([0, 1]), [["a"], ["b"]])
    plain = LocalTeacher(tiny_classifier(), None).answer(asked, DISTRIBUTION).logits
    noisy = LocalTeacher(tiny_classifier(), None, noise=1.0).answer(asked, DISTRIBUTION).logits
    assert noisy.shape == plain.shape and ((noisy - plain).abs() > 1e-6).all()
