"""What can go wrong, by whose mistake, and how it is said.

A `UserError` is the user's to mend: the command line prints it without a traceback and
exits with code 2. It carries one or more `Problem`s, so that everything wrong with an
input is said in one go. Message template: `<what> must be <allowed>, got <value>[; <why>].
<what to do instead>`.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing to mend: where it is (a path such as `steps.2.train.learning_rate`) and what is wrong."""

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message

    def below(self, where: str) -> "Problem":
        """The same, of a part that stands at `where`."""
        return Problem(f"{where}.{self.where}" if self.where else where, self.message)


class LimbeckError(Exception):
    """Anything limbeck raises on purpose."""

    exit_code = 1


class UserError(LimbeckError):
    """The user's input is wrong; nothing expensive was started."""

    exit_code = 2

    def __init__(self, problems: str | Problem | Sequence[Problem]) -> None:
        if isinstance(problems, str):
            problems = Problem("", problems)
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class ConfigError(UserError):
    """A recipe, an override or an argument says something that cannot be."""


class ObjectiveError(UserError, ValueError):
    """An objective was given tensors or hyperparameters it has no meaning for."""


class RowError(UserError, ValueError):
    """A row of the data cannot be used as asked."""


class ModelError(UserError):
    """A model folder or id cannot be used as asked."""


class VocabularyError(ModelError):
    """Teacher and student do not speak the same token ids."""


class StoreError(UserError):
    """A teacher store cannot be read, continued or used with these rows."""


class RunFolderError(UserError):
    """The run folder holds something that would be overwritten or cannot be continued."""


class ResourceError(UserError):
    """Not enough disk or memory for what was asked."""


class NotFiniteError(LimbeckError):
    """A loss or gradient was NaN or infinite; the update was not made."""


class Interrupted(LimbeckError):
    """Ctrl-C or SIGTERM arrived; the state was saved and the same command continues."""

    exit_code = 130
