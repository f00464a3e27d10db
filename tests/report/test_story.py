"""What the report says was done."""

import pytest

from limbeck.report.story import _train

FIELDS = {
    "out": "student", "student": {"model": "S"}, "teacher": {"model": "T"}, "rows": "rows.train",
    "objective": [{"name": "jsd"}],
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
    assert _train("train", {**FIELDS, "rollouts": rollouts}) == PLAIN + said
