"""What the report says was done."""

import pytest

from limbeck.recipes import Train
from limbeck.report.record import Record
from limbeck.report.story import story

FIELDS = {
    "out": "student", "student": {"model": "S"}, "teacher": {"model": "T"}, "rows": "rows.train",
    "objective": [{"name": "jsd", "beta": 0.5}],
}  # fmt: skip
PLAIN = "Trained `student`, starting from `S`, against `T` on `rows.train` with jsd"


@pytest.mark.parametrize(
    ("rollouts", "said"),
    [
        (None, ""),
        ({"student": 0.5, "teacher": 0.25}, "; meanwhile the student wrote 50% of the rows and the teacher "
         "wrote 25% of the rows anew"),
        ({"student": {"schedule": "adaptive_share"}, "beside": True},
         "; meanwhile the student wrote a changing share of the rows anew beside the data's own"),
    ],
)  # fmt: skip
def test_a_training_says_who_wrote(rollouts, said):
    assert Train.model_validate({**FIELDS, "rollouts": rollouts}).sentence() == PLAIN + said


def test_the_story_is_of_finished_steps_with_their_tokens_and_time():
    steps = [{"said": "Trained `a`", "tokens": 640, "seconds": 72}, {"said": "Compared `a`"}, {"kind": "old"}]
    assert story(Record("run", steps=steps)) == ["Trained `a`, 640 tokens in 1 min 12 s.", "Compared `a`."]
