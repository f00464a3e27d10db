"""`select`: some of the rows, or all in another order."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from limbeck.core.config import Config
from limbeck.core.errors import Problem
from limbeck.recipes.calls import Call
from limbeck.recipes.named_models import Word
from limbeck.recipes.references import Names
from limbeck.recipes.steps.step import Makes, Step
from limbeck.report.words import listed

FEATURES: Mapping[str, tuple[str, ...]] = {
    "count": (),
    "scores": ("scores", "model", "max_length", "batch_size"),
    "groups": ("groups",),
    "texts": ("text",),
    "lengths": ("text", "tokenizer"),
    "vectors": ("text", "model", "max_length", "batch_size"),
    "losses": ("model", "max_length", "batch_size"),
    "alone_losses": ("model", "max_length", "batch_size"),
    "gradients": ("model", "max_length", "target", "tasks", "warmup"),
}
"""What a selector may ask for among its positional arguments -> the fields of the step that it is made by."""

_NEEDS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "scores": (("scores", "model"), "scores: COLUMN with numbers, or model: MODEL, whose loss is taken"),
    "groups": (("groups",), "groups: COLUMN"),
    "losses": (("model",), "model: MODEL, which scores answers"),
    "alone_losses": (("model",), "model: MODEL, which scores answers"),
    "gradients": (("model",), "model: MODEL, whose gradients are compared"),
}


class Selector(Call):
    """A selector by its name, and its settings beside."""

    package: ClassVar[str] = "selectors"
    noun: ClassVar[str] = "selector"

    @property
    def features(self) -> tuple[str, ...]:
        """What it is told of the rows."""
        return self.entry.positional


class Warmup(Config):
    """A short training on some of the rows, at whose epochs gradients are taken (LESS)."""

    share: float = Field(default=0.05, gt=0, le=1, description="of the rows that it learns from")
    epochs: int = Field(default=4, ge=1, description="each ends with a checkpoint")
    learning_rate: float = Field(default=2e-5, gt=0, description="peak; 3 % warm-up, then linear to 0")
    batch_size: int = Field(default=16, ge=1, description="rows of an update")
    lora_r: int = Field(
        default=0, ge=0, description="rank of LoRA adapters, whose gradients are taken; 0: all"
    )
    lora_alpha: int = Field(default=512, ge=1, description="LoRA scales its update by alpha / r")
    lora_target_modules: tuple[str, ...] = Field(default=(), description="none: all linear ones")
    dimension: int = Field(default=8192, ge=1, description="that gradients are projected to")
    direction: Literal["official", "textbook"] = Field(
        default="official", description="form of Adam's step: epsilon inside the root, or as Adam is"
    )
    seed: int = Field(default=0, ge=0)


class Select(Step):
    """Take the rows that a selector puts first, until a budget is full; or all, in its order.

    The rows stay as they are, and come in the order of the selector: `order: given` in a train step keeps it.
    `selection.json` in the step's folder says of each row why it was taken.
    """

    kind: ClassVar[str] = "select"
    makes: ClassVar[Makes] = "rows"
    rows: Annotated[str, Names("rows", heldout=True)]
    selector: Selector
    budget: float | None = Field(
        default=None,
        gt=0,
        description="share below 1, or number, of rows or tokens; none: all that it yields",
    )
    unit: Literal["rows", "tokens"] = Field(default="rows", description="what the budget counts")
    within: Annotated[str | None, Names("column")] = Field(
        default=None, description="column: selects among the rows of each value apart, each under the budget"
    )
    scores: Annotated[str | None, Names("column")] = Field(
        default=None, description="column of numbers, or what a gate measured: verdicts.GATE"
    )
    groups: Annotated[str | None, Names("column")] = Field(default=None, description="column of groups")
    text: Literal["all", "prompt", "answer"] = Field(
        default="all", description="what texts, lengths and embeddings are of, without a chat template"
    )
    model: Annotated[Word | None, Names("model")] = Field(
        default=None,
        description="embeds the texts, scores the answers or gives the gradients, as the selector asks; "
        "without one texts are embedded by their words (TF-IDF)",
    )
    tokenizer: Annotated[str | None, Names("tokenizer")] = Field(
        default=None, description="a model's; counts tokens"
    )
    target: Annotated[str | None, Names("rows")] = Field(
        default=None, description="rows like those that the student is for; never held-out ones"
    )
    tasks: Annotated[str | None, Names("column")] = Field(
        default=None,
        description="column of the target's rows that says which task each is of; none: one task",
    )
    warmup: Warmup | None = Field(
        default=None, description="before gradients are taken; none: as LESS has it"
    )
    max_length: int = Field(default=512, ge=2, description="tokens of a row that the model reads")
    batch_size: int = Field(default=16, ge=1, description="rows that the model reads at once")

    @property
    def taken_from(self) -> str | None:
        """All of them are among its `rows`."""
        return self.rows

    def sentence(self) -> str:
        """What it did, for the report."""
        budget = "all" if self.budget is None else f"{self.budget:g}"
        share = " of the" if self.budget is not None and self.budget < 1 else ""
        apart = f" for each {self.within}" if self.within else ""
        taken = f"{budget}{share} {self.unit}{apart}"
        return f"Selected `{self.out}` from `{self.rows}` by {self.selector.name}: {taken}"

    def problems(self, earlier: Sequence[Step]) -> Iterator[Problem]:
        """What the selector lacks, what nothing reads, and budgets that cannot be."""
        asked = self.selector.features
        for feature in asked:
            fields, advice = _NEEDS.get(feature, ((), ""))
            if fields and all(getattr(self, field) is None for field in fields):
                yield Problem("selector", f"{self.selector.name} reads {feature}. Say {advice}.")
        if "gradients" in asked and self.target is None:
            yield Problem("target", f"must name rows that {self.selector.name} compares with, got none.")
        if self.scores is not None and self.model is not None and "scores" in asked:
            yield Problem("scores", "must be left out with model, whose loss takes its place. Leave one out.")
        yield from self._unread(asked)
        yield from self._budget_problems()

    def _unread(self, asked: Sequence[str]) -> Iterator[Problem]:
        read = {field for feature in asked for field in FEATURES[feature]}
        read |= {"tokenizer"} if self.unit == "tokens" else set()
        for field in dict.fromkeys(field for fields in FEATURES.values() for field in fields):
            if field not in read and getattr(self, field) != type(self).model_fields[field].default:
                names = [name for name, fields in FEATURES.items() if field in fields]
                yield Problem(
                    field,
                    f"is read by selectors of {listed(names)}, got one of {listed(list(asked))}: "
                    f"{self.selector.name}. Leave it out.",
                )

    def _budget_problems(self) -> Iterator[Problem]:
        if self.budget is not None and self.budget >= 1 and self.budget != int(self.budget):
            yield Problem("budget", f"must be a share below 1 or a whole number, got {self.budget:g}.")
        if self.unit == "tokens" and self.budget is None:
            yield Problem("unit", "must be rows without a budget, got tokens. Set a budget.")
        if self.unit == "tokens" and self.tokenizer is None:
            yield Problem(
                "tokenizer", "must name a model whose tokens are counted with unit: tokens, got none."
            )
