"""Many checks, one error: every problem is noted with its place, and all are raised together."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from limbeck.core.errors import Problem, RowError, UserError
from limbeck.rows.problems import LongPromptsError


class Problems:
    """Problems found so far, and the kind of error they make together."""

    def __init__(self) -> None:
        self.found: list[Problem] = []
        self._long: dict[int, LongPromptsError] = {}
        self._kinds: set[type[UserError]] = set()

    @contextmanager
    def at(self, where: str) -> Iterator[None]:
        """Note what the body finds wrong, under `where`, and go on behind it."""
        try:
            yield
        except UserError as error:
            self.note(error, where)

    def note(self, error: UserError, where: str = "") -> None:
        """Note the problems of an error, each once."""
        self._kinds.add(RowError if isinstance(error, LongPromptsError) else type(error))
        if isinstance(error, LongPromptsError):
            error = self._joined(error)
        for problem in error.problems:
            placed = _placed(problem, where)
            if placed not in self.found:
                self.found.append(placed)

    def refuse(self) -> None:
        """Raise all that was found; nothing when all is well."""
        if self.found:
            kind = self._kinds.pop() if len(self._kinds) == 1 else UserError
            raise kind(merged(self.found))

    def _joined(self, error: LongPromptsError) -> LongPromptsError:
        """With the long prompts of earlier steps, which then say the same."""
        earlier = self._long.get(error.max_length)
        if earlier is None:
            self._long[error.max_length] = error
            return error
        prompts = {
            row: max(error.prompts.get(row, 0), earlier.prompts.get(row, 0))
            for row in {**earlier.prompts, **error.prompts}
        }
        both = LongPromptsError(prompts, error.max_length)
        said, saying = earlier.problems[0].message, both.problems[0].message
        self.found = [Problem(old.where, saying) if old.message == said else old for old in self.found]
        self._long[error.max_length] = both
        return both


def merged(problems: Sequence[Problem]) -> list[Problem]:
    """Problems of steps that say the same as one, with all its places; others as they are, each once."""
    places: dict[tuple[bool, str], list[str]] = {}
    for problem in problems:
        is_of_step = problem.where.startswith("steps.")
        key = (is_of_step, problem.message if is_of_step else str(problem))
        known = places.setdefault(key, [])
        if problem.where not in known:
            known.append(problem.where)
    shown = {str(problem): problem for problem in problems}
    return [
        Problem(", ".join(known), message) if is_of_step else shown[message]
        for (is_of_step, message), known in places.items()
    ]


def _placed(problem: Problem, where: str) -> Problem:
    if not where or problem.where.startswith("steps."):
        return problem
    # A field continues the path; the name of a row or a file is said beside it.
    if problem.where.replace(".", "").replace("_", "").isalnum() and " " not in problem.where:
        return Problem(f"{where}.{problem.where}", problem.message)
    return Problem(where, str(problem))
