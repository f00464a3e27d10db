"""Prompt files: what a teacher reads, and what its student reads instead, as YAML that a user edits."""

from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import ConfigDict, Field, field_validator

from limbeck.core.config import Config, validate
from limbeck.core.errors import ConfigError, Problem
from limbeck.core.lookup import did_you_mean
from limbeck.core.prompting.parsers import ParserCall
from limbeck.core.prompting.template import PromptError, PromptTemplate

SHIPPED = Path(__file__).parents[2] / "prompts"
"""The folder of the prompts that come with limbeck."""


class Shots(Config):
    """How an example is told as two turns before the question."""

    user: str
    assistant: str


class Voice(Config):
    """What one reader reads, as templates; nothing: what the row asks by itself."""

    system: str | None = None
    user: str | None = None
    text: str | None = Field(default=None, description="continued as it is, without a chat template")
    shots: Shots | None = Field(default=None, description="every example as two turns before `user`")


class PromptFile(Config):
    """A prompt file."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    about: str
    source: str = ""
    version: int = Field(default=1, ge=1)
    parser: ParserCall = ParserCall(name="whole")
    stop: tuple[str, ...] = ()
    json_schema: Mapping[str, Any] | None = Field(default=None, description="that the answer must fit")
    teacher: Voice = Voice()
    student: Voice | None = Field(default=None, description="nothing: what the row asks by itself")
    parts: Mapping[str, str] = Field(default={}, description="further templates, which the operator names")
    examples: tuple[Mapping[str, Any], ...] = ()

    @field_validator("teacher")
    @classmethod
    def _has_one_form(cls, voice: Voice) -> Voice:
        if voice.text is not None and (voice.system or voice.user or voice.shots):
            raise ValueError("must have either text or turns (system, user, shots), got both.")
        return voice

    @field_validator("student")
    @classmethod
    def _reads_turns(cls, voice: Voice | None) -> Voice | None:
        if voice is not None and (voice.text is not None or voice.shots is not None):
            raise ValueError("must have system and user alone, got text or shots, which a teacher reads.")
        return voice


@cache
def shipped_prompts() -> tuple[str, ...]:
    """Names of the prompts that come with limbeck, in order."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.yaml")))


def prompt_path(word: str) -> Path:
    """The file of a prompt, from its name or a path.

    Raises:
        ConfigError: neither is there.
    """
    if word in shipped_prompts():
        return SHIPPED / f"{word}.yaml"
    if Path(word).is_file():
        return Path(word)
    raise ConfigError(
        Problem(
            "prompt",
            f"must be a file or the name of a prompt, got '{word}'.{did_you_mean(word, shipped_prompts())}",
        )
    )


def read_prompt_file(path: Path) -> tuple[PromptFile, Mapping[str, PromptTemplate]]:
    """What a file says, and its templates by their place, such as `teacher.user`.

    Raises:
        ConfigError: a key that is unknown or missing.
        PromptError: no YAML, or a template that is none.
    """
    return _read(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=256)
def _read(path: Path, changed: int) -> tuple[PromptFile, Mapping[str, PromptTemplate]]:
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        said = getattr(error, "problem", None) or str(error)
        raise PromptError(Problem(f"{path}:{line}", f"must be YAML in UTF-8, got {said}.")) from None
    if not isinstance(values, dict) or node is None:
        raise PromptError(
            Problem(
                str(path),
                "must be a mapping with about and teacher, got none. Copy one: limbeck prompts copy NAME.",
            )
        )
    found = validate(PromptFile, values, str(path))
    texts = {
        f"{who}.{what}": text
        for who, voice in (("teacher", found.teacher), ("student", found.student))
        if voice is not None
        for what, text in _texts(voice)
    }
    texts |= {f"parts.{name}": text for name, text in found.parts.items()}
    lines = dict(_lines(node, ""))
    return found, {place: PromptTemplate(text, path, lines[place]) for place, text in texts.items()}


def _texts(voice: Voice) -> Iterator[tuple[str, str]]:
    for name in ("system", "user", "text"):
        if (text := getattr(voice, name)) is not None:
            yield name, text
    if voice.shots is not None:
        yield "shots.user", voice.shots.user
        yield "shots.assistant", voice.shots.assistant


def _lines(node: yaml.Node, place: str) -> Iterator[tuple[str, int]]:
    """The line at which the text of every scalar begins, from 1."""
    if isinstance(node, yaml.ScalarNode):
        yield place, node.start_mark.line + (2 if node.style in ("|", ">") else 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _lines(value, f"{place}.{key.value}" if place else str(key.value))
