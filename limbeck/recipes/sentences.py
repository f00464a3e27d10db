"""Parts of steps in words, for the report."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from limbeck.core.model_words import model_word
from limbeck.core.rollouts import RolloutSettings
from limbeck.recipes.students import Student
from limbeck.recipes.terms import Term
from limbeck.report.words import listed

if TYPE_CHECKING:
    from limbeck.core.config import Config


def part_said(part: "Config | str") -> str:
    """A student, a teacher or a model: the word that names it, and how it differs from that."""
    if isinstance(part, str):
        return _said({"model": model_word(part).place, **model_word(part).fields()})
    return _said(part.model_dump(mode="json", exclude_none=True))


def origin_said(student: Student) -> str:
    """What a student is made from."""
    tokens = f" with the tokenizer {student.tokenizer}" if student.tokenizer else ""
    return model_word(student.origin).said + tokens


def terms_said(terms: tuple[Term, ...]) -> str:
    """The objectives of a training, with weights other than 1."""
    found = []
    for term in terms:
        is_plain = isinstance(term.weight, dict) or term.weight == 1
        found.append(term.name if is_plain else f"{term.name} (weight {term.weight:g})")
    return listed(found)


def writers_said(rollouts: RolloutSettings | None) -> str:
    """Who writes anew while training."""
    if rollouts is None:
        return ""
    shares = [("student", rollouts.student), ("teacher", rollouts.teacher)]
    parts = [f"the {name} {_share(share)} of the rows" for name, share in shares if share]
    beside = " beside the data's own" if rollouts.beside else ""
    return f"; meanwhile {listed(parts)} anew{beside}"


def _share(share: Any) -> str:
    return "wrote a changing share" if isinstance(share, Mapping) else f"wrote {share:.0%}"


def _said(value: Any) -> str:
    if not isinstance(value, Mapping):
        return f"`{value}`"
    if "endpoint" in value:
        return f"`{value['model']}` at {value['endpoint']}"
    form, inner = next(((key, inner) for key, inner in value.items() if inner), ("model", "a model"))
    if isinstance(inner, Mapping):
        return _said(inner)
    if isinstance(inner, list):
        return listed([_said(part) for part in inner])
    extra = [f"{key} {item}" for key, item in value.items() if key != form and not isinstance(item, dict)]
    return f"`{inner}`" + (f" ({', '.join(extra)})" if extra else "")
