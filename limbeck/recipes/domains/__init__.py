"""Domains as data: how a teacher is asked about their texts, and which answers count as right."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from limbeck.core.config import Config, validate
from limbeck.core.errors import ConfigError, Problem
from limbeck.core.lookup import did_you_mean
from limbeck.recipes.calls import GateCall

SHIPPED = Path(__file__).parent


class Judged(Config):
    """What a judge must find of an answer."""

    prompt: str = "domain_judge"
    minimum: float = Field(default=7, description="lowest score that passes")


class Domain(Config):
    """A domain file.

    Attributes:
        about: what its texts are, and what is to be learnt.
        corpus: what a row of the corpus should be.
        questions: prompt file for questions about a text.
        answer: prompt file for answers from it; the student reads the question alone.
        gates: that judge the answers before the judge does; the column `documents` holds the text.
        judge: what it must find.
        methods: that did the like.
        sources: of texts and evaluation sets, with what is to be known of their licences.
        care: what to watch.
    """

    about: str
    corpus: str = ""
    questions: str
    answer: str
    gates: tuple[GateCall, ...] = ()
    judge: Judged = Judged()
    methods: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    care: str = ""


@cache
def shipped_domains() -> tuple[str, ...]:
    """Names of the domains that come with limbeck, in order."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.yaml")))


def read_domain(word: str) -> Domain:
    """A domain by its name, or from a file of yours.

    Raises:
        ConfigError: there is none, it is no YAML, or a key of it is unknown or missing.
    """
    path = SHIPPED / f"{word}.yaml" if word in shipped_domains() else Path(word).expanduser()
    if not path.is_file():
        said = f"must be a file or one of {', '.join(shipped_domains())}, got '{word}'."
        raise ConfigError(Problem("domain", said + did_you_mean(word, shipped_domains())))
    try:
        found: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        why = " ".join(str(error).split())
        raise ConfigError(Problem("domain", f"must be YAML in UTF-8, got {path}; {why}.")) from None
    if not isinstance(found, dict):
        raise ConfigError(Problem("domain", f"must be a mapping, got {path}. Copy a shipped one."))
    return validate(Domain, found, str(path))
