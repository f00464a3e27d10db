"""What is tortured: small runs of every kind of step, each a command line."""

from dataclasses import dataclass
from pathlib import Path

_RUN = ["heldout=4", "max_length=48", "max_steps=4", "save_steps=1", "per_device_train_batch_size=2"]
_FROM_STORE = """
limbeck: 1
name: from_store
steps:
  - load: {{out: rows, path: {world}/answers.jsonl, heldout: 4}}
  - capture: {{out: signals, teacher: {world}/teacher, rows: rows.train, max_length: 48, shard_tokens: 64}}
  - train:
      out: student
      student: {world}/student
      teacher: signals
      rows: rows.train
      objective: [{{name: forward_kl}}]
      max_steps: 4
      max_length: 48
      save_steps: 1
      per_device_train_batch_size: 2
"""


@dataclass(frozen=True)
class Case:
    """A command.

    Attributes:
        name: in the table.
        words: of the command line, without the folder.
        option: that names the folder.
    """

    name: str
    words: tuple[str, ...]
    option: str = "--out"

    def command(self, folder: Path) -> list[str]:
        """The words, with a folder to write to."""
        return ["limbeck", *self.words, self.option, str(folder)]


def cases(world: Path) -> list[Case]:
    """All of them, on the models and rows of `tests.runs.world.make_world`."""
    recipe = world / "from_store.yaml"
    if not recipe.exists():
        recipe.write_text(_FROM_STORE.format(world=world))
    student, teacher = f"student={world / 'student'}", f"teacher={world / 'teacher'}"
    answers = f"data={world / 'answers.jsonl'}"
    asked = ("--data", str(world / "answers.jsonl"), "--teacher", str(world / "teacher"))
    measured = "steps.evaluation.metrics=[perplexity]"
    return [
        Case("word_kd", ("run", "word_kd", student, teacher, answers, *_RUN, measured)),
        Case("gkd", ("run", "gkd", student, teacher, answers, *_RUN, measured, "max_new_tokens=6")),
        Case("seq_kd", ("run", "seq_kd", student, teacher, answers, *_RUN, measured, "max_new_tokens=6")),
        Case("store", ("run", str(recipe))),
        Case(
            "capture",
            ("capture", str(world / "teacher"), "--data", str(world / "answers.jsonl"), "shard_tokens=64"),
        ),
        Case("evaluate", ("evaluate", str(world / "student"), *asked, "metrics=[perplexity]")),
    ]
