"""The closed table of row kinds, recognised by the names of the columns."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum

from limbeck.core.errors import RowError


class Kind(StrEnum):
    """What a row holds; the value is the list of its columns as the user sees it."""

    PREFERENCE = "chosen+rejected"
    MESSAGES = "messages"
    COMPLETION = "prompt+completion"
    QUESTION = "question+answer"
    TAGS = "tokens+tags"
    LABELLED_PAIR = "text_a+text_b+label"
    SCORED_PAIR = "text_a+text_b+score"
    LABELLED_TEXT = "text+label"
    TEXT = "text"
    PROMPT = "prompt"

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns every row of this kind has."""
        return tuple(self.value.split("+"))


@dataclass(frozen=True, eq=False)
class Spelling:
    """One way to name the columns of a kind: the names found -> limbeck's names.

    `instruction`+`input` become one `prompt`, and `conversations` become `messages`, in `rows.normal`.
    """

    kind: Kind
    names: Mapping[str, str]


def _plain(kind: Kind) -> Spelling:
    return Spelling(kind, {name: name for name in kind.columns})


# Order matters: the first spelling whose columns are all there is taken, so the richer kinds come first.
SPELLINGS: tuple[Spelling, ...] = (
    _plain(Kind.PREFERENCE),
    _plain(Kind.MESSAGES),
    Spelling(Kind.MESSAGES, {"conversations": "messages"}),
    Spelling(Kind.MESSAGES, {"conversation": "messages"}),
    Spelling(Kind.MESSAGES, {"dialogue": "messages"}),
    Spelling(Kind.MESSAGES, {"dialog": "messages"}),
    Spelling(Kind.MESSAGES, {"turns": "messages"}),
    _plain(Kind.COMPLETION),
    Spelling(Kind.COMPLETION, {"prompt": "prompt", "response": "completion"}),
    Spelling(Kind.COMPLETION, {"prompt": "prompt", "answer": "completion"}),
    Spelling(Kind.COMPLETION, {"prompt": "prompt", "output": "completion"}),
    Spelling(Kind.COMPLETION, {"prompt": "prompt", "target": "completion"}),
    Spelling(Kind.COMPLETION, {"instruction": "prompt", "output": "completion"}),
    Spelling(Kind.COMPLETION, {"instruction": "prompt", "response": "completion"}),
    Spelling(Kind.COMPLETION, {"instruction": "prompt", "completion": "completion"}),
    Spelling(Kind.COMPLETION, {"instruction": "prompt", "answer": "completion"}),
    Spelling(Kind.COMPLETION, {"question": "prompt", "response": "completion"}),
    Spelling(Kind.COMPLETION, {"question": "prompt", "output": "completion"}),
    Spelling(Kind.COMPLETION, {"query": "prompt", "response": "completion"}),
    Spelling(Kind.COMPLETION, {"query": "prompt", "output": "completion"}),
    Spelling(Kind.COMPLETION, {"query": "prompt", "answer": "completion"}),
    Spelling(Kind.COMPLETION, {"inputs": "prompt", "targets": "completion"}),
    Spelling(Kind.COMPLETION, {"input": "prompt", "response": "completion"}),
    Spelling(Kind.COMPLETION, {"input": "prompt", "output": "completion"}),
    _plain(Kind.QUESTION),
    # Behind prompts and answers: such columns may stand beside them.
    Spelling(Kind.MESSAGES, {"contents": "messages"}),
    Spelling(Kind.MESSAGES, {"chat": "messages"}),
    _plain(Kind.TAGS),
    Spelling(Kind.TAGS, {"tokens": "tokens", "ner_tags": "tags"}),
    _plain(Kind.LABELLED_PAIR),
    Spelling(Kind.LABELLED_PAIR, {"premise": "text_a", "hypothesis": "text_b", "label": "label"}),
    Spelling(Kind.LABELLED_PAIR, {"sentence1": "text_a", "sentence2": "text_b", "label": "label"}),
    _plain(Kind.SCORED_PAIR),
    Spelling(Kind.SCORED_PAIR, {"premise": "text_a", "hypothesis": "text_b", "score": "score"}),
    Spelling(Kind.SCORED_PAIR, {"sentence1": "text_a", "sentence2": "text_b", "score": "score"}),
    _plain(Kind.LABELLED_TEXT),
    Spelling(Kind.LABELLED_TEXT, {"sentence": "text", "label": "label"}),
    _plain(Kind.TEXT),
    _plain(Kind.PROMPT),
)


_ALIKE = 0.75  # as difflib counts: one letter more or less in a short word
_OTHER_THAN_TEXT = frozenset({"image", "images", "audio", "audios", "video", "videos", "pcm16"})


def spelling_of(columns: Collection[str], where: str = "") -> Spelling:
    """The first spelling whose columns are all among `columns`.

    Raises:
        RowError: no kind has its columns there; says what was found and what is accepted.
    """
    for spelling in SPELLINGS:
        if spelling.names.keys() <= set(columns):
            return spelling
    why = "; models here read text alone" if _OTHER_THAN_TEXT & set(columns) else ""
    raise RowError(
        f"{where or 'the rows'}: columns must be those of a kind of row, got {_listed(columns)}{why}. "
        f"{_nearest(columns)}. The section Data of the guide (docs/guide.md) lists all kinds."
    )


def _nearest(columns: Collection[str]) -> str:
    """The spelling of which most columns are there, and how to name the others."""
    likely = {spelling: _alike(spelling, columns) for spelling in SPELLINGS}
    best = max(likely, key=lambda one: len(likely[one]) / len(one.names))
    if not likely[best]:
        return "Say which are which in the load step, as in columns: {prompt: QUESTION, completion: ANSWER}"
    missing = [name for name in best.names if name not in columns]
    given = ", ".join(f"{best.names[name]}: {likely[best].get(name, 'NAME')}" for name in missing)
    return f"Nearest is {_listed(best.names)}: say columns: {{{given}}} in the load step, if it is meant"


def _alike(spelling: Spelling, columns: Collection[str]) -> dict[str, str]:
    """Columns that are named as those of a spelling or nearly so: the spelling's name -> the column."""
    found = {name: get_close_matches(name, columns, n=1, cutoff=_ALIKE) for name in spelling.names}
    return {name: close[0] for name, close in found.items() if close}


def kind_of(columns: Collection[str]) -> Kind:
    """The kind of rows that `rows.load.load_rows` returned, from their column names.

    Raises:
        RowError: the columns are of no kind.
    """
    return spelling_of(columns).kind


def _listed(names: Iterable[str]) -> str:
    return "+".join(names) or "no columns"
