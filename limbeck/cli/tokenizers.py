"""What `limbeck doctor` says of two tokenizers."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limbeck.core.errors import ConfigError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_SAMPLE = 100_000  # characters of source: enough for shares to a percent, a second to align
_PART = 10_000  # characters aligned as one text
_FITTING = "alm (chunks), uld (sorted probabilities), dskd (hidden states), min_edit (nearest tokens)"


def tokenizer_alone(value: Any) -> Path | None:
    """The tokenizer.json that a user named instead of a model, or a folder's that has no model."""
    place = Path(str(value)).expanduser()
    if place.suffix == ".json" and place.is_file():
        return place
    found = place / "tokenizer.json"
    return found if found.is_file() and not (place / "config.json").exists() else None


def load_alone(path: Path) -> "PreTrainedTokenizerBase":
    """A tokenizer without a model; what it would do at the end of a text is not known."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_file=str(path))


def say_vocabulary(
    student: "PreTrainedTokenizerBase", teacher: "PreTrainedTokenizerBase", sizes: tuple[int, int],
    data: str | None,
) -> None:  # fmt: skip
    """Print whether ids are shared; where they are not, how the tokens of a text line up.

    Args:
        student: the student's tokenizer.
        teacher: the teacher's.
        sizes: columns of the student's and of the teacher's head.
        data: a file with texts to align; None takes probes and source of the standard library.

    Raises:
        VocabularyError: the token maps agree, but a head is too small or a text is cut otherwise.
    """
    from limbeck.teachers import shared_vocabulary
    from limbeck.teachers.vocabulary import moved_tokens, same_ids

    if same_ids(student, teacher):
        shared = shared_vocabulary(student, teacher, *sizes)
        print(f"{'vocabulary':<12} {shared.note}, {shared.overlap:.1%} of all tokens under the same id")
        for line in _formats(student, teacher):
            print(f"{'format':<12} {line}")
        if data is None:
            return
    else:
        moved = moved_tokens(student, teacher)
        if moved is None:
            print(f"{'vocabulary':<12} {_overlap(student, teacher)}")
        else:
            print(f"{'vocabulary':<12} the same tokens under other ids: a permutation; {moved:.1%} moved")
        print(f"{'applicable':<12} {_FITTING}; see limbeck list recipes")
    _say_coverage(student, teacher, _texts(data))


def _formats(student: "PreTrainedTokenizerBase", teacher: "PreTrainedTokenizerBase") -> list[str]:
    """What two tokenizers of the same ids write differently around a conversation."""
    differing = [
        f"{what}: student {ours!r}, teacher {theirs!r}"
        for what, ours, theirs in (
            ("begin", student.bos_token, teacher.bos_token),
            ("end", student.eos_token, teacher.eos_token),
        )
        if ours != theirs
    ]
    templates = [tokenizer.chat_template for tokenizer in (student, teacher)]
    if templates[0] != templates[1]:
        has = ["none" if template is None else "its own" for template in templates]
        differing.append(f"chat template: student {has[0]}, teacher {has[1]}")
    if differing:
        differing.append("each reads conversations in its own format (teacher.view: student changes that)")
    return differing


def _overlap(student: "PreTrainedTokenizerBase", teacher: "PreTrainedTokenizerBase") -> str:
    from limbeck.core.token_bytes import token_bytes

    ours, theirs = (set(token_bytes(tokenizer)) - {b""} for tokenizer in (student, teacher))
    both = len(ours & theirs)
    sizes = f"{len(student):,} and {len(teacher):,}"
    return (
        f"different tokenizers of {sizes} tokens; {both / len(ours):.1%} of the student's stand "
        f"for bytes that are a token of the teacher's, {both / len(theirs):.1%} the other way"
    )


def _say_coverage(
    student: "PreTrainedTokenizerBase", teacher: "PreTrainedTokenizerBase", texts: Sequence[str]
) -> None:
    from limbeck.rows.aligned.coverage import LONG, coverage

    found = coverage(student, teacher, texts)
    ours, theirs = (f"{n:,} ({found.size / max(n, 1):.2f} bytes each)" for n in found.tokens)
    chunks = f"{found.chunks:,} chunks of {found.size / max(found.chunks, 1):.2f} bytes"
    first, second = (f"{share:.1%}" for share in found.altered)
    rows = [
        ("aligned", f"{found.size:,} bytes: {chunks}, longest {found.longest}; {found.dropped} not covered"),
        ("tokens", f"student {ours}, teacher {theirs}"),
        ("one-to-one", f"{found.one_to_one:.1%} of the student's tokens"),
        ("long chunks", f"{found.in_long:.1%} of the bytes lie in chunks of more than {LONG}"),
        ("altered", f"{first} of the lines by the student's tokenizer, {second} by the teacher's"),
    ]
    for name, text in rows:
        print(f"{name:<12} {text}")


def _texts(data: str | None) -> list[str]:
    from limbeck.rows.standard_library import standard_library_files
    from limbeck.teachers.vocabulary import PROBES

    if data is None:
        source = "\n".join(file.text for file in standard_library_files() if file.heldout)[:_SAMPLE]
        return ["\n".join(PROBES.values()), *_parts(source)]
    from limbeck.rows.read import read

    found = []
    for part in read(data):
        texts = [column.values for column in part.columns.values() if str(column.values.type) == "string"]
        found += [text for values in texts for text in values.to_pylist() if text]
    if not found:
        raise ConfigError(f"data must have a column of text, got {data} without one. Name another file.")
    return found


def _parts(text: str) -> list[str]:
    return [text[start : start + _PART] for start in range(0, len(text), _PART)]
