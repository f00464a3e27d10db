"""Recipes: a list of steps as frozen data, carried by YAML, made by small Python functions."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, ClassVar, Literal

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer

from limbeck.core.config import Config, validate
from limbeck.core.errors import ConfigError, Problem
from limbeck.core.lookup import unknown
from limbeck.core.rollouts import RolloutSettings
from limbeck.core.training import TrainingSettings
from limbeck.recipes.aliases import said_elsewhere
from limbeck.recipes.alignment import Alignment
from limbeck.recipes.compare import Compare
from limbeck.recipes.named_models import Word
from limbeck.recipes.parts import Student, Teacher, Term
from limbeck.recipes.text import read_yaml, write_yaml
from limbeck.signals.payload import Payload, TopKPayload

FORMAT = 1
METRICS = Literal[
    "perplexity", "fidelity", "calibration", "generation", "speed", "classification", "similarity"
]


class Load(Config):
    """Read rows from a file, a folder, a hub id or the `standard_library`, and hold some out."""

    kind: ClassVar[str] = "load"
    out: str
    path: str
    columns: dict[str, str] = Field(default_factory=dict, description="limbeck's name: the file's name")
    ignore: tuple[str, ...] = Field(default=(), description="columns left unread though they carry meaning")
    split: str | None = Field(
        default=None,
        description="split of a hub data set, word in file names, or value of the column `split`",
    )
    limit: int | None = Field(default=None, ge=1, description="rows read at most, from the front")
    bad_rows: Literal["refuse", "drop"] = Field(
        default="refuse", description="what to do where a row has nothing to learn from"
    )
    too_long: Literal["refuse", "drop"] = Field(
        default="refuse", description="what to do where a prompt leaves no room within max_length"
    )
    encoding: str | None = Field(default=None, description="of text files that are not UTF-8: latin-1")
    heldout: float = Field(default=0.05, ge=0, description="share below 1, or number of rows")
    validation: float = Field(default=0.0, ge=0, description="of the other rows, for what training watches")
    chat: bool = Field(
        default=False, description="write prompts and answers through the chat template, as two turns"
    )
    special_tokens: Literal["auto", "parse", "text"] = Field(
        default="auto",
        description="strings such as <|im_end|> in texts. auto: letters, but in texts that a chat template "
        "has written; parse: special tokens; text: letters",
    )
    template_date: date | None = Field(
        default=None, description="the day that chat templates write as today's; none: when the run began"
    )
    seed: int = Field(default=0, ge=0)


class Build(Config):
    """Make a student once, so that several trainings start from the same weights.

    A student that is pruned reads rows first, to see what matters; no other one reads any.
    """

    kind: ClassVar[str] = "build"
    out: str
    student: Student
    rows: str | None = Field(default=None, description="read to prune, never held-out ones")
    calibration_rows: int = Field(
        default=64, ge=1, description="rows drawn to prune by; of long texts, as many windows"
    )
    max_length: int = Field(default=256, ge=2, description="tokens of a row that is read to prune")
    seed: int = Field(default=0, ge=0)

    @model_serializer(mode="wrap")
    def _short(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = serialize(self)
        read = {"rows", "calibration_rows", "max_length"}
        if self.student.prune is None and self.rows is None:
            return {name: value for name, value in values.items() if name not in read}
        return values


class Generate(Config):
    """Let a teacher write completions for the prompts of rows (sequence-level distillation)."""

    kind: ClassVar[str] = "generate"
    out: str
    teacher: Teacher
    rows: str
    max_new_tokens: int = Field(default=256, ge=1)
    prompt_tokens: int = Field(
        default=16, ge=1, description="of plain text: what each window of it begins with"
    )
    sampling_temperature: float = Field(default=1.0, ge=0, description="0: greedy")
    top_p: float = Field(default=1.0, gt=0, le=1)
    samples: int = Field(default=1, ge=1, description="completions of each prompt")
    limit: int | None = Field(default=None, ge=1, description="at most this many prompts, chosen at random")
    seed: int = Field(default=0, ge=0)


class Watch(Config):
    """What is measured while training, on rows apart: metrics that schedules and figures can follow."""

    rows: str
    every: int = Field(default=100, ge=1, description="optimizer steps")
    loss: bool = Field(default=True, description="validation_loss: the terms that learn from data")
    distances: dict[str, Word] = Field(
        default_factory=dict, description="name: model; mean divergence between that model and the student"
    )
    divergence: Literal["forward_kl", "reverse_kl", "jsd"] = Field(
        default="forward_kl", description="of the distances; forward_kl is KL(model || student)"
    )
    written_by: Literal["data", "student"] = Field(
        default="data", description="whose answers distances are measured on; student: fresh ones"
    )
    perplexities_by: str | None = Field(default=None, description="column of domains; also of the teacher")
    limit: int = Field(default=64, ge=1, description="rows looked at, of each domain for perplexities")
    max_new_tokens: int = Field(default=64, ge=1, description="of the student's answers")


class Domains(Config):
    """Draw rows by domain, more of those where the student lags behind its teacher (DDK)."""

    column: str = "domain"
    smoothing: float = Field(default=0.5, ge=0, le=1, description="alpha: share of the gaps against uniform")
    limit: float = Field(default=5.0, gt=1, description="largest ratio of perplexities that is believed")


class Selection(Config):
    """Let the student's uncertainty say which rows the teacher answers (classifiers)."""

    by: Literal["entropy", "margin", "least_confidence", "random"] = "entropy"
    share: float = Field(
        default=0.5, gt=0, le=1, description="of the rows of a step, rounded down; most unsure"
    )
    other: Teacher | None = Field(default=None, description="answers the other rows; none: nobody does")


class Capture(Config):
    """Ask a teacher about rows once and keep what it says; `teacher: <out>` then trains from the store."""

    kind: ClassVar[str] = "capture"
    out: str
    teacher: Teacher
    rows: str
    payload: Payload = Payload(topk=TopKPayload())
    folder: str | None = Field(default=None, description="of the store; none: in the run folder")
    model_kind: Literal["auto", "causal", "seq2seq"] = "auto"
    task: Literal["default", "two_task"] = "default"
    loss_on: Literal["last_assistant", "all_assistant", "all"] = "all_assistant"
    max_length: int = Field(default=1024, ge=2)
    max_target_length: int = Field(default=256, ge=1)
    batch_tokens: int = Field(default=8192, ge=1, description="that the teacher reads at once, at most")
    shard_tokens: int = Field(default=65536, ge=1, description="of one file of the store; lost by a kill")
    bf16: bool = False


class Train(TrainingSettings):
    """Train a student on rows against a sum of objectives."""

    kind: ClassVar[str] = "train"
    out: str
    student: Student
    teacher: Teacher | None = None
    rows: str
    objective: tuple[Term, ...] = Field(min_length=1)
    model_kind: Literal["auto", "causal", "seq2seq", "encoder", "classifier"] = Field(
        default="auto", description="what the models are read as; auto: by the student's configuration"
    )
    task: Literal["default", "two_task", "preference"] = Field(
        default="default",
        description="two_task: predict the label, explain the rationale; preference: chosen and rejected",
    )
    loss_on: Literal["last_assistant", "all_assistant", "all"] = Field(
        default="all_assistant", description="turns of a conversation that are in the loss"
    )
    rollouts: RolloutSettings | None = Field(default=None, description="sequences written while training")
    corpus: str | None = Field(default=None, description="rows each step also learns from, group corpus")
    watch: Watch | None = Field(default=None, description="what is measured while training")
    selection: Selection | None = Field(default=None, description="who answers which row")
    domains: Domains | None = Field(default=None, description="rows drawn by domain; needs watch")
    alignment: Alignment | None = Field(default=None, description="of a teacher with another tokenizer")
    balance: Literal["gradient_magnitude"] | None = Field(
        default=None,
        description="weighs terms so that each pulls the last layer alike; their weights are unread",
    )


class Evaluate(Config):
    """Compare teacher, student and baseline on held-out rows."""

    kind: ClassVar[str] = "evaluate"
    out: str = "evaluation"
    model: Word
    teacher: Teacher | None = None
    baseline: Word | None = None
    rows: str
    metrics: tuple[METRICS, ...] = Field(min_length=1)
    model_kind: Literal["auto", "causal", "seq2seq", "encoder", "classifier"] = "auto"
    task: Literal["python_syntax", "exact_match", "final_answer"] | None = None
    loss_on: Literal["last_assistant", "all_assistant", "all"] = "all_assistant"
    max_length: int = Field(default=1024, ge=2)
    max_target_length: int = Field(default=256, ge=1)
    max_new_tokens: int = Field(default=64, ge=1)
    prompts: int = Field(default=32, ge=1, description="held-out prompts that are completed")
    limit: int | None = Field(default=None, ge=1, description="at most this many held-out rows")
    max_positions: int | None = Field(default=None, ge=1, description="read entries at random up to so many")
    batch_size: int = Field(default=8, ge=1)
    seed: int = Field(default=0, ge=0)


Step = Load | Build | Generate | Capture | Train | Evaluate | Compare
SHOWN = frozenset(
    {"heldout", "learning_rate", "num_train_epochs", "max_steps", "per_device_train_batch_size", "max_length"}
    | {"gradient_accumulation_steps", "seed"}
)
"""Fields that a recipe file always names."""

STEPS: Mapping[str, type[Step]] = {
    step.kind: step for step in (Load, Build, Generate, Capture, Train, Evaluate, Compare)
}


class Recipe(Config):
    """A named list of steps; each reads the outs of earlier ones and writes its own."""

    name: str
    steps: tuple[Step, ...]

    @field_validator("steps")
    @classmethod
    def _tell_stores_from_models(cls, steps: tuple[Step, ...]) -> tuple[Step, ...]:
        """`teacher: signals`, where signals is the out of a capture step, means that store."""
        teachers: dict[str, Teacher] = {}
        found: list[Step] = []
        for step in steps:
            if isinstance(step, Train | Evaluate) and step.teacher:
                # Held-out rows are in no store: what measures asks the model that was captured.
                is_learnt = isinstance(step, Train)
                teacher = _told_apart(step.teacher, teachers, is_learnt=is_learnt)
                if teacher != step.teacher:
                    step = step.model_copy(update={"teacher": teacher})
            found.append(step)
            if isinstance(step, Capture):
                teachers[step.out] = step.teacher
        return tuple(found)

    def to_data(self) -> dict[str, Any]:
        """Plain data, as YAML shows it: what differs from a default, and what is changed most (`SHOWN`)."""
        return self._data(_worth_showing)

    def resolved(self) -> dict[str, Any]:
        """Plain data with every value, for the record: a later version may have other defaults."""
        return self._data(lambda step: step.model_dump(mode="json", exclude_none=True))

    def to_yaml(self) -> str:
        """The recipe as a file that `limbeck run` takes."""
        return write_yaml(self.to_data())

    def _data(self, values_of: Callable[[Step], dict[str, Any]]) -> dict[str, Any]:
        steps = [{step.kind: _own_fields_first(step, values_of(step))} for step in self.steps]
        return {"limbeck": FORMAT, "name": self.name, "steps": steps}

    @classmethod
    def from_yaml(cls, text: str) -> "Recipe":
        """Read a recipe; every error in one go.

        Raises:
            ConfigError: the text is no YAML, or some keys or values are wrong.
        """
        return cls.from_data(read_yaml(text))

    @classmethod
    def from_data(cls, data: Any) -> "Recipe":
        """Build a recipe from plain data (see `to_data`)."""
        if not isinstance(data, dict) or not isinstance(data.get("steps"), list):
            raise ConfigError("a recipe must be a mapping with `limbeck: 1`, `name` and a list of `steps`.")
        problems = [
            Problem(key, unknown("key", key, ("limbeck", "name", "steps")))
            for key in data
            if key not in ("limbeck", "name", "steps")
        ]
        if data.get("limbeck") != FORMAT:
            problems.append(Problem("limbeck", f"must be {FORMAT}, got {data.get('limbeck')!r}."))
        steps: list[Step] = []
        for place, item in enumerate(data["steps"]):
            try:
                steps.append(_step(item, f"steps.{place}"))
            except ConfigError as error:
                problems.extend(map(said_elsewhere, error.problems))
        if problems:
            raise ConfigError(problems)
        return cls(name=str(data.get("name", "run")), steps=tuple(steps))


def _told_apart(teacher: Teacher, captured: Mapping[str, Teacher], *, is_learnt: bool) -> Teacher:
    """A teacher whose words for stores name stores in training, and elsewhere the models captured."""
    if teacher.model in captured:
        return Teacher(signals=teacher.model) if is_learnt else captured[teacher.model]
    members = []
    for member in teacher.ensemble:
        word = member.model or member.signals
        if word in captured and (member.model or not is_learnt):
            store = {"model": "", "signals": word}
            named = store if is_learnt else {"model": captured[word].model, "signals": ""}
            member = member.model_copy(update={**named, "name": member.called})
        members.append(member)
    return teacher.model_copy(update={"ensemble": tuple(members)})


def _worth_showing(step: Step) -> dict[str, Any]:
    values = step.model_dump(mode="json")
    changed = step.model_dump(mode="json", exclude_defaults=True)
    return {name: value for name, value in values.items() if name in changed or name in SHOWN}


def _own_fields_first(step: Step, values: dict[str, Any]) -> dict[str, Any]:
    own = [name for name in type(step).__annotations__ if name in values]
    return {name: values[name] for name in own} | values


def _step(item: Any, where: str) -> Step:
    if not isinstance(item, dict) or len(item) != 1:
        raise ConfigError(Problem(where, f"must be one step such as `load: {{...}}`, got {item!r}."))
    ((kind, fields),) = item.items()
    if kind not in STEPS:
        raise ConfigError(Problem(f"{where}.{kind}", unknown("step", str(kind), STEPS)))
    if not isinstance(fields, dict):
        raise ConfigError(Problem(f"{where}.{kind}", f"must be a mapping of fields, got {fields!r}."))
    try:
        return validate(STEPS[kind], fields, f"{where}.{kind}")
    except ConfigError as error:
        raise ConfigError(_innermost(error.problems)) from None


def _innermost(problems: Sequence[Problem]) -> list[Problem]:
    """pydantic also reports the list whose item is wrong, as too short: the item is enough."""
    paths = {problem.where for problem in problems}
    return [
        problem for problem in problems if not any(path.startswith(f"{problem.where}.") for path in paths)
    ]
