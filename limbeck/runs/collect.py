"""Many checks, one error: every problem is noted with its place, and all are raised together."""

from collections.abc import Iterator
from contextlib import contextmanager

from limbeck.core.errors import Problem, UserError


class Problems:
    """Problems found so far, and the kind of error they make together."""

    def __init__(self) -> None:
        self.found: list[Problem] = []
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
        self._kinds.add(type(error))
        for problem in error.problems:
            placed = _placed(problem, where)
            if placed not in self.found:
                self.found.append(placed)

    def refuse(self) -> None:
        """Raise all that was found; nothing when all is well."""
        if self.found:
            kind = self._kinds.pop() if len(self._kinds) == 1 else UserError
            raise kind(self.found)


def _placed(problem: Problem, where: str) -> Problem:
    if not where or problem.where.startswith("steps."):
        return problem
    # A field continues the path; the name of a row or a file is said beside it.
    if problem.where.replace(".", "").replace("_", "").isalnum() and " " not in problem.where:
        return Problem(f"{where}.{problem.where}", problem.message)
    return Problem(where, str(problem))
