"""A prompt: makes requests of rows, reads the replies, and says what the student reads."""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limbeck.core.asking import Reply, Request, Turn
from limbeck.core.errors import ConfigError, Problem
from limbeck.core.lineage import REFERENCE, Row
from limbeck.core.prompting.file import PromptFile, prompt_path, read_prompt_file
from limbeck.core.prompting.own import answered, carried, own_answer, own_text, own_turns
from limbeck.core.prompting.parsers import ParseFailed
from limbeck.core.prompting.template import PromptTemplate
from limbeck.core.template import functions_of

GIVEN = ("task", "examples")
"""Values of every template beside the columns of the row: what the row asks, and the file's examples."""


@dataclass(frozen=True)
class Drawing:
    """How answers are drawn, as a `Request` has it."""

    max_tokens: int
    temperature: float
    top_p: float = 1.0
    seed: int | None = None


@dataclass(frozen=True)
class Prompt:
    """A prompt file, ready to be used.

    Attributes:
        path: of the file.
        file: what it says.
        templates: by their place in it.
    """

    path: Path
    file: PromptFile
    templates: Mapping[str, PromptTemplate]

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.stem

    @property
    def fingerprint(self) -> str:
        """Changes with every edit of the file."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()[:16]

    def request(
        self, row: Row, drawing: Drawing, *, values: Mapping[str, Any] | None = None, sample: int = 0
    ) -> Request:
        """What the teacher is asked about a row.

        Args:
            row: its columns are values of the templates, and `task` is what it asks.
            drawing: how the answer is drawn.
            values: that the operator gives; they go before columns of the same name.
            sample: which draw of the same question.

        Raises:
            PromptError: a template needs what is not there.
            TemplateError: the row's tools are no JSON list of functions.
        """
        voice, known = self.file.teacher, self._values(row, values)
        text = self.templates["teacher.text"].render(known) if voice.text is not None else None
        return Request(
            messages=() if text is not None else self._turns("teacher", row, known),
            text=text,
            tools=() if text is not None else tuple(functions_of(row.get("tools"))),
            stop=self.file.stop,
            schema=self.file.json_schema,
            sample=sample,
            max_tokens=drawing.max_tokens,
            temperature=drawing.temperature,
            top_p=drawing.top_p,
            seed=drawing.seed,
        )

    def parsed(self, reply: Reply) -> dict[str, Any]:
        """What the file's parser finds in a reply.

        Raises:
            ParseFailed: the reply is not as the prompt asks for, or was cut before it was.
        """
        if reply.finish == "content_filter":
            raise ParseFailed("content_filter", "the teacher's server withheld the answer")
        if reply.parsed is not None and isinstance(reply.parsed, dict):
            return dict(reply.parsed)
        if not reply.text.strip():
            raise ParseFailed("empty", "the answer says nothing")
        try:
            return self.file.parser.parse(reply.text)
        except ParseFailed as failed:
            if reply.stopped:
                raise
            raise ParseFailed("length", f"the answer was cut, and {failed.message}") from None

    def learnt(self, row: Row, answer: str, *, values: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The row as the student reads it, with an answer.

        Without a `student` part in the file the student reads what the row asks by itself.
        """
        if self.file.student is None:
            return answered(row, answer)
        turns = self._turns("student", row, self._values(row, values))
        kept = {REFERENCE: own_answer(row), **carried(row)}
        if len(turns) == 1 and turns[0]["role"] == "user":
            return {**kept, "prompt": turns[0]["content"], "completion": answer}
        return {**kept, "messages": [*turns, {"role": "assistant", "content": answer}]}

    def part(self, name: str, row: Row, values: Mapping[str, Any] | None = None) -> str:
        """One of the further texts of the file, filled from a row.

        Raises:
            ConfigError: the file has none of this name.
        """
        if f"parts.{name}" not in self.templates:
            said = (
                f"must have {name}, got {', '.join(self.file.parts) or 'none'}. Copy the shipped prompt anew."
            )
            raise ConfigError(Problem(f"{self.path}: parts", said))
        return self.templates[f"parts.{name}"].render(self._values(row, values))

    def problems(self, columns: Collection[str], gives: Collection[str] = ()) -> Iterator[Problem]:
        """What templates ask for that is neither a column of the rows nor given by the operator."""
        known = {*columns, *gives, *GIVEN}
        for template in self.templates.values():
            for name in sorted(template.names - known):
                yield from template.missing(name, known).problems

    def _values(self, row: Row, values: Mapping[str, Any] | None) -> dict[str, Any]:
        own: dict[str, Any] = {}
        if any("task" in template.names for template in self.templates.values()):
            own["task"] = own_text(row)
        return {**row, **own, "examples": self.file.examples, **(values or {})}

    def _turns(self, who: str, row: Row, values: Mapping[str, Any]) -> tuple[Turn, ...]:
        def written(what: str) -> str:
            return self.templates[f"{who}.{what}"].render(values)

        system = (
            [{"role": "system", "content": written("system")}] if f"{who}.system" in self.templates else []
        )
        shots = [turn for example in self._shots(who) for turn in example]
        if f"{who}.user" in self.templates:
            return (*system, *shots, {"role": "user", "content": written("user")})
        own = own_turns(row)
        return (*system, *shots, *(own if not system else own[own[0]["role"] == "system" :]))

    def _shots(self, who: str) -> Iterator[tuple[Turn, Turn]]:
        if f"{who}.shots.user" not in self.templates:
            return
        for example in self.file.examples:
            yield (
                {"role": "user", "content": self.templates[f"{who}.shots.user"].render(example)},
                {"role": "assistant", "content": self.templates[f"{who}.shots.assistant"].render(example)},
            )


def load_prompt(word: str) -> Prompt:
    """A prompt by its name, or from a file.

    Raises:
        ConfigError: there is none, or it has wrong keys.
        PromptError: it is no YAML, or a template of it is none.
    """
    path = prompt_path(word)
    return Prompt(path, *read_prompt_file(path))
