"""Entities: how answers are read, what is asked of a conversation, and the counts."""

from dataclasses import replace

import pytest

from limbeck.core.masks import IGNORE
from limbeck.evaluation.data import EvaluationData
from limbeck.evaluation.entities import _Counts, _questions, entities_in, released_entities_in
from limbeck.evaluation.prompts import learnt_stretches
from limbeck.evaluation.statistics import Rows
from tests.evaluation.tiny import Texts, causal, settings, subject


def measured(said, gold, read=entities_in, rows=None):
    over = Rows(rows or list(range(len(said))), resamples=20, seed=0)
    return {name: one["value"] for name, one in _Counts(over, said, gold, read).measures().items()}


def test_f1_counts_normalised_entities_over_all_questions():
    # Right: x and y; said: x, y, z; true: x, y. Precision 2/3, recall 1, F1 = 4/5.
    found = measured(['["X.", "the y", "z", "x"]'], ['["x", "y"]'])
    assert found["entity_precision"] == pytest.approx(2 / 3)
    assert (found["entity_recall"], found["entity_f1"]) == (1, pytest.approx(0.8))


def test_invented_counts_absent_types_alone():
    found = measured(['["x"]', "[]", '["y"]'], ["[]", "[]", '["y"]'])
    assert found["invented"] == 0.5
    assert found["entity_precision"] == 0.5


@pytest.mark.parametrize(
    ("answer", "released", "ours"),
    [
        ('ok ["x"]', [], []),
        (' ["x"]', [], ["x"]),
        ('["x"] and so on', ["x"], ["x"]),
        ('["x [1]", "y"]', [], ["x 1", "y"]),
        ('["A", "b"]', ["", "b"], ["A", "b"]),
        ('[["X", "the"], 3]', [], []),
        ('[["X", "the"]]', [], []),
        ('["x",\n"y"]', [], ["x", "y"]),
        ("[" * 100_000, [], []),
    ],
)
def test_answers_are_read_as_json_and_as_the_released_code_does(answer, released, ours):
    assert released_entities_in(answer) == released
    assert entities_in(answer) == ours


class Talked(Texts):
    """Two tokens are read, three learnt, and so on."""

    def batch(self, indices):
        batch = super().batch(indices)
        for line, index in enumerate(indices):
            for place in range(len(self.rows[index]) - 1):
                if (place + 1) % 5 < 2:
                    batch.targets[line, place] = IGNORE
        return batch


def test_every_question_is_asked_by_itself_behind_the_opening():
    class Said:
        def batch_decode(self, ids, **_):
            return ["I have read the text." if row[0] == 4 else '["x"]' for row in ids]

    row = list(range(2, 17))  # 2 3 |4 5 6| 7 8 |9 10 11| 12 13 |14 15 16|
    source = Talked([row, row[:5]])
    evidence = EvaluationData([], source, {"r0": {}, "r1": {}}, settings("causal", "entities"))
    stretches = list(learnt_stretches(evidence))
    assert [(one.before, one.answer) for one in stretches[0]] == [
        ([2, 3], [4, 5, 6]), ([7, 8], [9, 10, 11]), ([12, 13], [14, 15, 16]),
    ]  # fmt: skip
    assert len(stretches[1]) == 1
    student = replace(subject("student", causal(0)), tokenizer=Said())
    asked = _questions(EvaluationData([student], source, evidence.rows, evidence.settings))
    assert [(one.place, one.ids) for one in asked] == [
        (1, [2, 3, 4, 5, 6, 7, 8]),
        (2, [2, 3, 4, 5, 6, 12, 13]),
    ]
