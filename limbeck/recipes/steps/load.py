"""`load`: rows of a file, a folder or the hub, some of them held out."""

from datetime import date
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from limbeck.recipes.data import Data
from limbeck.recipes.references import Names
from limbeck.recipes.steps.step import Makes, Step


class Load(Step):
    """Read rows from a file, a folder, a hub id or the `standard_library`, and hold some out."""

    kind: ClassVar[str] = "load"
    makes: ClassVar[Makes] = "rows"
    without_effect: ClassVar[frozenset[str]] = frozenset({"keep"})  # it only says that they are read
    parts: ClassVar[tuple[str, ...]] = ("train", "validation", "heldout")
    path: Annotated[Data, Names("data")]
    columns: dict[str, str] = Field(default_factory=dict, description="limbeck's name: the file's name")
    ignore: tuple[str, ...] = Field(default=(), description="columns left unread though they carry meaning")
    keep: tuple[str, ...] = Field(
        default=(), description="columns that carry meaning and are read later, by an operator or a gate"
    )
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
    validation: float = Field(default=0.0, ge=0, description="of the other rows, for validation curves")
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

    def sentence(self) -> str:
        """What it did, for the report."""
        # How many is a fact of the run (its notes): files of the standard library are held out by name.
        apart = "; some were held out for the evaluation" if self.heldout else ""
        return f"Read the rows of {self.path} as `{self.out}`{apart}"

    def emptied_by(self, part: str) -> str | None:
        """The share of the part, if it is 0."""
        return part if part in ("heldout", "validation") and not getattr(self, part) else None
