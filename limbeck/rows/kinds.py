"""The closed table of row kinds, recognised by the names of the columns."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True)
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
    _plain(Kind.COMPLETION),
    Spelling(Kind.COMPLETION, {"prompt": "prompt", "response": "completion"}),
    Spelling(Kind.COMPLETION, {"instruction": "prompt", "output": "completion"}),
    Spelling(Kind.COMPLETION, {"instruction": "prompt", "response": "completion"}),
    Spelling(Kind.COMPLETION, {"question": "prompt", "response": "completion"}),
    Spelling(Kind.COMPLETION, {"query": "prompt", "response": "completion"}),
    Spelling(Kind.COMPLETION, {"inputs": "prompt", "targets": "completion"}),
    Spelling(Kind.COMPLETION, {"input": "prompt", "output": "completion"}),
    _plain(Kind.QUESTION),
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


_OTHER_THAN_TEXT = frozenset({"image", "images", "audio", "audios", "video", "videos", "pcm16"})


def spelling_of(columns: Collection[str], where: str = "") -> Spelling:
    """The first spelling whose columns are all among `columns`.

    Raises:
        RowError: no kind has its columns there; says what was found and what is accepted.
    """
    for spelling in SPELLINGS:
        if spelling.names.keys() <= set(columns):
            return spelling
    accepted = "; ".join(_listed(spelling.names) for spelling in SPELLINGS)
    why = "; models here read text alone" if _OTHER_THAN_TEXT & set(columns) else ""
    raise RowError(
        f"{where or 'the rows'}: columns must be those of a kind of row, got {_listed(columns)}{why}. "
        "Rename columns when loading, for example columns: {rationale: llm_rationale} reads "
        f"`rationale` from the column `llm_rationale`, to one of: {accepted}."
    )


def kind_of(columns: Collection[str]) -> Kind:
    """The kind of rows that `rows.load.load_rows` returned, from their column names.

    Raises:
        RowError: the columns are of no kind.
    """
    return spelling_of(columns).kind


def _listed(names: Iterable[str]) -> str:
    return "+".join(names) or "no columns"
