"""A teacher with another tokenizer: what it says of the student's chunks and positions, by hand."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from limbeck.core.batch import Batch
from limbeck.core.chunk_likelihoods import chunk_likelihoods
from limbeck.core.forward_model import ForwardModel
from limbeck.core.masks import IGNORE
from limbeck.core.needs import DISTRIBUTION, at
from limbeck.teachers.chunks import ChunkRules
from limbeck.teachers.cross_tokenizer import CrossTokenizerRows, CrossTokenizerTeacher
from tests.tiny import VOCABULARY, tiny_llama

MARK = 2
"""The end token of both sides; the even ids from 10 on begin words."""

STUDENT = ([1, 11, 13, 15, 17, MARK], [1, 21, 23, MARK])
STUDENT_CHUNKS = ([0, 0, 1, 2, 3], [0, 0, 1])
TEACHER = ([1, 31, 33, 35, 37, MARK], [1, 41, 43, 45, MARK])
TEACHER_CHUNKS = ([0, 1, 2, 2, 3], [0, 0, 0, 1])


def padded(rows: Sequence[Sequence[int]], chunks: Sequence[Sequence[int]]) -> Batch:
    """Rows whose tokens behind the first are learnt, with the chunk of each target."""
    width = max(map(len, rows))
    ids, targets, numbers, mask = (torch.full((len(rows), width), fill) for fill in (0, IGNORE, -1, 0))
    for line, (row, own) in enumerate(zip(rows, chunks, strict=True)):
        ids[line, : len(row)] = torch.tensor(row)
        mask[line, : len(row)] = 1
        targets[line, : len(row) - 1] = torch.tensor(row[1:])
        numbers[line, : len(own)] = torch.tensor(own)
    return Batch(
        {"input_ids": ids, "attention_mask": mask},
        targets,
        [[f"row-{line}"] for line in range(len(rows))],
        signals={"chunks": numbers},
    )


def packed(rows: Sequence[Sequence[int]], chunks: Sequence[Sequence[int]]) -> Batch:
    """The same rows in one line."""
    alone = padded(rows, chunks)
    lines = [slice(0, len(row)) for row in rows]

    def joined(values: Tensor) -> Tensor:
        return torch.cat([values[line, span] for line, span in enumerate(lines)])[None]

    positions = torch.cat([torch.arange(len(row)) for row in rows])[None]
    return Batch(
        {"input_ids": joined(alone.inputs["input_ids"]), "position_ids": positions},
        joined(alone.targets),  # type: ignore[arg-type]
        [[name for one in alone.row_ids for name in one]],
        signals={"chunks": joined(alone.signals["chunks"])},
    )


class Rows:
    """The rows of a batch, one an entry."""

    def __init__(self, rows: Sequence[Sequence[int]], chunks: Sequence[Sequence[int]]) -> None:
        self.rows, self.chunks = rows, chunks

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, indices: Sequence[int]) -> Batch:
        return padded([self.rows[index] for index in indices], [self.chunks[index] for index in indices])


def rules(*, threshold: float = 0.0, debias: bool = True) -> ChunkRules:
    starts = torch.zeros(VOCABULARY, dtype=torch.bool)
    starts[10::2] = True
    starts[MARK] = True
    marks = torch.zeros(VOCABULARY, dtype=torch.bool)
    marks[MARK] = True
    return ChunkRules(threshold, debias, starts, starts, marks)


def foreign(
    *, rule: ChunkRules | None = None, ids: Tensor | None = None, order: bool = False, same: bool = False
) -> CrossTokenizerTeacher:
    rows = Rows(STUDENT, STUDENT_CHUNKS) if same else Rows(TEACHER, TEACHER_CHUNKS)
    return CrossTokenizerTeacher(
        tiny_llama(seed=1),
        CrossTokenizerRows(rows, {"row-0": 0, "row-1": 1}),
        vocabulary=VOCABULARY,
        rules=rule or rules(),
        pairing="order" if order else "chunks",
        ids=ids,
    )


def log_probs(model: torch.nn.Module, row: Sequence[int]) -> Tensor:
    with torch.no_grad():
        return model(torch.tensor([row])).logits[0].log_softmax(-1)


def test_a_chunk_is_as_likely_as_its_tokens_and_the_end_of_a_word() -> None:
    teacher = foreign()
    chunks = teacher.answer(padded(STUDENT, STUDENT_CHUNKS), at("chunks")).taps["chunks", None]
    assert chunks is not None
    said = log_probs(teacher.model, TEACHER[0])
    starts = rules().teacher_starts
    ends = said[:, starts].logsumexp(-1)
    by_hand = [
        said[0, 31] + ends[1],
        said[1, 33] + ends[2],
        said[2, 35] + said[3, 37] + ends[4],
        said[4, MARK],  # nothing is asked behind an end token
    ]
    assert torch.allclose(chunks.log_probs[:4], torch.stack(by_hand), atol=1e-5)
    assert chunks.members.tolist() == [[0, 0, 1, 2, 3, -1], [4, 4, 5, -1, -1, -1]]
    assert chunks.ends.tolist() == [2, 3, 4, -1, 8, -1]
    assert chunks.lasts.tolist() == [2, 3, 4, 5, 8, 9]


def test_without_debiasing_a_chunk_is_as_likely_as_its_tokens() -> None:
    teacher = foreign(rule=rules(debias=False))
    chunks = teacher.answer(padded(STUDENT, STUDENT_CHUNKS), at("chunks")).taps["chunks", None]
    assert chunks is not None
    said = log_probs(teacher.model, TEACHER[1])
    assert torch.allclose(chunks.log_probs[4], said[0, 41] + said[1, 43] + said[2, 45], atol=1e-5)
    assert set(chunks.ends.tolist()) == {-1}


def test_chunks_end_only_where_the_teacher_expects_a_new_word() -> None:
    one = foreign(rule=rules(threshold=0.999))
    chunks = one.answer(padded(STUDENT, STUDENT_CHUNKS), at("chunks")).taps["chunks", None]
    assert chunks is not None
    # The word's chunks join; the end token, behind which nothing is asked, stays what it is.
    assert chunks.members.tolist() == [[0, 0, 0, 0, 0, -1], [1, 1, 1, -1, -1, -1]]
    said = log_probs(one.model, TEACHER[0])
    whole = sum(said[place, token] for place, token in enumerate(TEACHER[0][1:]))
    assert torch.allclose(chunks.log_probs[0], whole, atol=1e-5)  # type: ignore[arg-type]
    assert len(chunks.lasts) == 6


def test_a_student_that_is_the_teacher_finds_every_chunk_as_likely() -> None:
    teacher = foreign(same=True, rule=rules(threshold=0.3))
    for batch in (padded(STUDENT, STUDENT_CHUNKS), packed(STUDENT, STUDENT_CHUNKS)):
        chunks = teacher.answer(batch, at("chunks")).taps["chunks", None]
        assert chunks is not None
        student = ForwardModel(tiny_llama(seed=1), VOCABULARY).probe()
        own = chunk_likelihoods(student.read(batch.inputs, DISTRIBUTION), chunks, batch)
        assert torch.allclose(own, chunks.log_probs, atol=1e-5)


def test_packed_rows_have_the_chunks_of_padded_ones() -> None:
    teacher = foreign(rule=rules(threshold=0.5))
    found = [
        teacher.answer(batch, at("chunks")).taps["chunks", None]
        for batch in (padded(STUDENT, STUDENT_CHUNKS), packed(STUDENT, STUDENT_CHUNKS))
    ]
    first, second = found
    assert first is not None and second is not None
    assert torch.equal(first.log_probs, second.log_probs)
    assert first.members[first.members >= 0].tolist() == second.members[second.members >= 0].tolist()


def test_tokens_alone_in_a_chunk_are_answered_by_each_other() -> None:
    teacher = foreign()
    batch = padded(STUDENT, STUDENT_CHUNKS)
    assert batch.loss_mask is not None
    grouped = teacher.prepare(batch)
    assert grouped.groups is not None and grouped.targets is not None
    # Of row 0: chunk 1 is one token of each side, chunk 3 is the end token; of row 1 the end token.
    assert (grouped.groups == 1).tolist() == [
        [False, False, True, False, True, False],
        [False, False, True, False, False, False],
    ]
    assert ((grouped.groups == IGNORE) == (grouped.targets == IGNORE)).all()
    answer = teacher.answer(batch, DISTRIBUTION)
    assert answer.hidden is not None and answer.head is not None
    logits = answer.hidden @ answer.head.weight.T
    assert torch.allclose(logits[0, 2].log_softmax(-1), log_probs(teacher.model, TEACHER[0])[1], atol=1e-5)
    assert torch.allclose(logits[1, 2].log_softmax(-1), log_probs(teacher.model, TEACHER[1])[3], atol=1e-5)


def test_by_order_the_nth_target_answers_the_nth() -> None:
    teacher = foreign(order=True)
    batch = packed(STUDENT, STUDENT_CHUNKS)
    grouped = teacher.prepare(batch)
    assert grouped.groups is not None
    assert (grouped.groups == 1).tolist() == [[*[True] * 5, False, True, True, True, False]]
    answer = teacher.answer(batch, DISTRIBUTION)
    assert answer.hidden is not None and answer.head is not None
    logits = answer.hidden @ answer.head.weight.T
    said = torch.cat([log_probs(teacher.model, TEACHER[0])[:5], log_probs(teacher.model, TEACHER[1])[:3]])
    places = [0, 1, 2, 3, 4, 6, 7, 8]
    assert torch.allclose(logits[0, places].log_softmax(-1), said, atol=1e-5)


def test_a_map_gives_the_students_ids_the_scores_of_the_teachers() -> None:
    ids = torch.randperm(VOCABULARY, generator=torch.Generator().manual_seed(0))[:100]
    batch = padded(STUDENT, STUDENT_CHUNKS)
    plain, mapped = (foreign(ids=one).answer(batch, DISTRIBUTION) for one in (None, ids))
    assert plain.hidden is not None and plain.head is not None and mapped.head is not None
    assert torch.equal(mapped.head.weight, plain.head.weight[ids])


def test_states_are_those_of_the_last_token_of_a_chunk() -> None:
    teacher = foreign()
    answer = teacher.answer(padded(STUDENT, STUDENT_CHUNKS), at("states", -1) | at("chunks"))
    chunks = answer.taps["chunks", None]
    assert chunks is not None
    with torch.no_grad():
        out = teacher.model(torch.tensor([TEACHER[0]]), output_hidden_states=True)
    states = out.hidden_states[-1][0]
    # Chunks of row 0 end with its tokens 1, 2, 4 and 5.
    assert torch.allclose(chunks.states[-1][:4], states[[1, 2, 4, 5]], atol=1e-5)


def test_a_batch_without_chunks_gives_none() -> None:
    batch = padded(STUDENT, STUDENT_CHUNKS)
    batch = replace(batch, signals={"chunks": torch.full_like(batch.signals["chunks"], -1)})
    teacher = foreign()
    chunks = teacher.answer(batch, at("chunks")).taps["chunks", None]
    assert chunks is not None
    assert len(chunks.log_probs) == 0 and len(chunks.lasts) == 0
    student = ForwardModel(tiny_llama(seed=1), VOCABULARY).probe().read(batch.inputs, DISTRIBUTION)
    assert len(chunk_likelihoods(student, chunks, batch)) == 0
