"""The form of an answer: tags in their order, a pattern it must fit, one that it must not have."""

import re
from collections.abc import Iterable, Iterator, Sequence

from limbeck.core.errors import ConfigError
from limbeck.core.lineage import REASONING
from limbeck.gates.reading import as_text, text_of
from limbeck.gates.verdict import Row, Verdict

_THINK = "think"


def format(
    rows: Iterable[Row],
    *,
    tags: list[str] | None = None,
    alone: bool = False,
    pattern: str | None = None,
    forbidden: str | None = None,
    column: str | None = None,
) -> Iterator[Verdict]:
    """Let texts through that have the form they were asked for.

    Args:
        rows: to judge, each alone.
        tags: that must stand in the text once each, opened, filled and closed, in this order and not
            inside each
            other: `[think, answer]`. Thoughts in the row's own column `reasoning` count as the tag `think`.
        alone: whether nothing but blanks may stand outside of the tags.
        pattern: a regular expression that the text must have a match of; `\\A` and `\\Z` tie it to the ends.
        forbidden: one that it must not have.
        column: the text; none: the row's answer.

    Yields:
        reasons `missing`, `repeated`, `unclosed`, `empty`, `order`, `outside`, `pattern` and `forbidden`; the
        detail says which tag, or what was found.

    Raises:
        ConfigError: nothing is asked, or an expression does not compile.

    Example:
        >>> texts = "<think>2+2</think> <answer>4</answer>", "<think>2+2 <answer>4</answer>"
        >>> rows = [{"text": text} for text in texts]
        >>> [one.reason for one in format(rows, tags=["think", "answer"], alone=True)]
        ['accepted', 'unclosed']
    """
    if not tags and pattern is None and forbidden is None:
        raise ConfigError("format must have tags, a pattern or forbidden, got none. Say what is asked for.")
    must, must_not = _compiled(pattern, "pattern"), _compiled(forbidden, "forbidden")
    for row in rows:
        text = text_of(row, column)
        verdict = _of_tags(_with_thoughts(row, text, tags or ()), tags or (), alone)
        if verdict is None and must is not None and not must.search(text):
            verdict = Verdict(None, False, "pattern", text[:80])
        if verdict is None and must_not is not None and (found := must_not.search(text)):
            verdict = Verdict(None, False, "forbidden", found[0])
        yield verdict or Verdict(None, True)


def _compiled(pattern: str | None, name: str) -> re.Pattern[str] | None:
    try:
        return None if pattern is None else re.compile(pattern, re.DOTALL)
    except re.error as error:
        raise ConfigError(f"{name} must be a regular expression, got {pattern!r}; {error}.") from None


def _with_thoughts(row: Row, text: str, tags: Sequence[str]) -> str:
    thoughts = as_text(row.get(REASONING))
    if _THINK in tags and thoughts and f"<{_THINK}>" not in text:
        return f"<{_THINK}>{thoughts}</{_THINK}>{text}"
    return text


def _of_tags(text: str, tags: Sequence[str], alone: bool) -> Verdict | None:
    """The first thing that is wrong with the tags."""
    end, outside = 0, ""
    for tag in tags:
        opened, closed = f"<{tag}>", f"</{tag}>"
        if opened not in text:
            return Verdict(None, False, "missing", opened)
        if text.count(opened) > 1 or text.count(closed) > 1:
            return Verdict(None, False, "repeated", opened)
        start, stop = text.index(opened), text.find(closed)
        if stop < 0 or stop < start:
            return Verdict(None, False, "unclosed", opened)
        if not text[start + len(opened) : stop].strip():
            return Verdict(None, False, "empty", opened)
        if start < end:
            return Verdict(None, False, "order", opened)
        outside += text[end:start]
        end = stop + len(closed)
    outside += text[end:]
    return Verdict(None, False, "outside", outside.strip()[:80]) if alone and outside.strip() else None
