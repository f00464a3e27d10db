"""Data and row errors said in one go: bad rows by name, a long list cut with its true length."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from limbeck.core.errors import Problem, RowError
from limbeck.rows.kinds import Kind
from limbeck.rows.patterns import is_pattern, matched
from limbeck.rows.suffixes import is_data

_SHOWN = 10  # enough to see the pattern, short enough for one screen
_EXAMPLES = 3  # of rows that all have the same fault
_FILES = 6  # named beside a missing one

_HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w.-]+)?(:[\w.-]+)?")


@dataclass(frozen=True)
class LongPrompt(Problem):
    """A prompt that leaves no room for an answer: `where` is the row's id."""

    tokens: int

    @classmethod
    def of(cls, row_id: str, tokens: int) -> "LongPrompt":
        """The prompt of a row, with the tokens before the first learnt one."""
        return cls(row_id, f"its prompt has {tokens} tokens.", tokens)


@dataclass(frozen=True)
class Unrendered(Problem):
    """A row that a chat template cannot write: rows of one `cause` are said in one line, with `advice`."""

    cause: str
    advice: str

    @classmethod
    def of(cls, row_id: str, cause: str, advice: str) -> "Unrendered":
        """Why a row cannot be rendered, and what would help."""
        return cls(f"row {row_id}", f"{cause}. {advice}", cause, advice)


class LongPromptsError(RowError):
    """Prompts that leave no room for an answer; errors of several steps add up to one.

    Attributes:
        prompts: tokens before the first learnt one, by row.
        max_length: that they do not fit into.
    """

    def __init__(self, prompts: Mapping[str, int], max_length: int) -> None:
        self.prompts = dict(prompts)
        self.max_length = max_length
        super().__init__(_long_prompts(self.prompts, max_length))


def missing_data(path: str) -> str | None:
    """The message for data that is neither there nor may be a hub id; None where it is or may be."""
    place = Path(path).expanduser()
    if place.exists() or _may_be_hub_id(path):
        return None
    if "://" in path or "::" in path:
        return f"data must lie on this machine or on the hub, got {path}. Download or unpack it first."
    if is_pattern(path):
        if matched(path):
            return None
        return f"data must match at least one data file, got {path}, which matches none. Check the pattern."
    return f"data must be a file, a folder or a hub id, got {path}.{_nearby(place)}"


def refuse_rows(problems: Sequence[Problem], advice: str = "") -> None:
    """Raise RowError with the first problems and the number of the others; nothing when there are none."""
    if not problems:
        return
    shown = list(problems[:_SHOWN])
    if len(problems) > _SHOWN:
        shown.append(Problem("", f"and {len(problems) - _SHOWN} more rows."))
    if advice:
        shown.append(Problem("", advice))
    raise RowError(shown)


def refuse_rendering(problems: Sequence[Problem], max_length: int) -> None:
    """Raise what rendering found: rows of one cause in one line, long prompts as one problem."""
    prompts = {problem.where: problem.tokens for problem in problems if isinstance(problem, LongPrompt)}
    others = _by_cause([problem for problem in problems if not isinstance(problem, LongPrompt)])
    try:
        refuse_rows(others)
    except RowError as error:
        long = LongPromptsError(prompts, max_length).problems if prompts else ()
        raise RowError([*error.problems, *long]) from None
    if prompts:
        raise LongPromptsError(prompts, max_length)


def _by_cause(problems: Sequence[Problem]) -> list[Problem]:
    """Rows that cannot be rendered for one reason as one problem, the first of them by name."""
    rows: dict[tuple[str, str], list[Problem]] = {}
    found: dict[tuple[str, str], Problem] = {}
    for problem in problems:
        key = (problem.cause, problem.advice) if isinstance(problem, Unrendered) else ("", str(problem))
        rows.setdefault(key, []).append(problem)
        found.setdefault(key, problem)
    return [
        problem
        if len(same) == 1 or not isinstance(problem, Unrendered)
        else Problem(_rows([one.where.removeprefix("row ") for one in same]), problem.message)
        for problem, same in zip(found.values(), rows.values(), strict=True)
    ]


def _rows(names: Sequence[str]) -> str:
    names = list(dict.fromkeys(names))
    more = f" and {len(names) - _EXAMPLES} more" if len(names) > _EXAMPLES else ""
    return f"{len(names)} rows ({', '.join(names[:_EXAMPLES])}{more})"


def refuse_kind(kind: Kind, accepted: Iterable[Kind], purpose: str) -> None:
    """Raise RowError unless rows of this kind can serve the purpose."""
    names = list(accepted)
    if kind not in names:
        raise RowError(
            f"rows for {purpose} must have the columns {' or '.join(names)}, got {kind}. "
            "Use other rows, or rename columns when loading."
        )


def _long_prompts(prompts: Mapping[str, int], max_length: int) -> str:
    longest = sorted(prompts.items(), key=lambda item: -item[1])
    shown = ", ".join(f"row {row_id} ({tokens} tokens)" for row_id, tokens in longest[:_EXAMPLES])
    more = f", and {len(longest) - _EXAMPLES} more" if len(longest) > _EXAMPLES else ""
    these = "1 row" if len(longest) == 1 else f"{len(longest)} rows"
    return (
        f"prompts must leave room for an answer within max_length {max_length}, got {these} whose prompt "
        f"does not: {shown}{more}. Set max_length to at least {longest[0][1] + 1}, or "
        "leave these rows out with too_long: drop in the load step."
    )


def _may_be_hub_id(path: str) -> bool:
    place = Path(path)
    is_below_a_folder = place.parent != Path() and place.parent.is_dir()
    return not is_data(place) and not is_below_a_folder and _HUB_ID.fullmatch(path) is not None


def _nearby(path: Path) -> str:
    """A near name, else the data that lies in the same folder."""
    parent = path.parent
    if not parent.is_dir():
        return f" The folder {parent} does not exist."
    entries = [entry for entry in parent.iterdir() if entry.name[0] != "."]
    close = difflib.get_close_matches(path.name, [entry.name for entry in entries], n=1)
    if close:
        return f" Did you mean '{close[0]}'?"
    files = sorted(entry.name for entry in entries if is_data(entry))
    shown = ", ".join(files[:_FILES]) + (", ..." if len(files) > _FILES else "")
    return f" There is: {shown}." if files else f" There is no data file in {parent.absolute()}."
