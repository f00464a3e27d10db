"""A text with places for values of a row; what is wrong with it is said with its file and line."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, UndefinedError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from limbeck.core import limited
from limbeck.core.errors import Problem, UserError
from limbeck.core.lookup import did_you_mean

_ENVIRONMENT = ImmutableSandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


class PromptError(UserError):
    """A prompt file, or a template in it, says something that cannot be."""


@dataclass(frozen=True)
class PromptTemplate:
    """A jinja2 template in a file, run in a sandbox.

    Attributes:
        source: of the template. One line break at its very end is not part of what it writes.
        file: it stands in.
        line: of the file at which it begins.
        names: values that it asks for, in any of its branches.
    """

    source: str
    file: Path
    line: int = 1
    names: frozenset[str] = field(init=False, repr=False, compare=False)
    _compiled: Template = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        try:
            with limited.limited():  # what is constant in it is computed already now
                names = frozenset(meta.find_undeclared_variables(_ENVIRONMENT.parse(self.source)))
                code = _ENVIRONMENT.compile(self.source, filename=str(self.file))
        except TemplateSyntaxError as error:
            raise self._error(error.lineno, f"must be a jinja2 template, got {error.message}.") from None
        except limited.TooLong:
            raise self._endless(1, f"{limited.MOST_SECONDS:g} s") from None
        compiled = Template.from_code(_ENVIRONMENT, code, _ENVIRONMENT.make_globals(None))
        object.__setattr__(self, "_compiled", compiled)
        object.__setattr__(self, "names", names)

    def render(self, values: Mapping[str, Any]) -> str:
        """The text with its values.

        Raises:
            PromptError: a value is not there, or cannot be used so; or the template does not end.
        """
        try:
            with limited.limited():
                return self._compiled.render(values)
        except limited.TooLong as error:  # no Exception: jinja2 leaves the line of its own code in it
            line = self._compiled.get_corresponding_lineno(self._line_in(error.__traceback__))
            raise self._endless(line, f"{limited.MOST_SECONDS:g} s") from None
        except MemoryError as error:
            line = self._line_in(error.__traceback__)
            raise self._endless(line, f"{limited.MOST_BYTES >> 30} GB") from None
        except UndefinedError as error:
            lost = [name for name in sorted(self.names) if name not in values]
            line = self._line_in(error.__traceback__)
            if lost:
                raise self.missing(lost[0], values, line) from None
            raise self._error(line, f"must use values that are there, got {error.message}.") from None
        except Exception as error:  # a template is a program: filters and calls raise what they like
            line = self._line_in(error.__traceback__)
            raise self._error(line, f"must work with the row, got {type(error).__name__}: {error}.") from None

    def missing(self, name: str, values: Collection[str], line: int | None = None) -> PromptError:
        """The error for a value that is not there.

        Args:
            name: of the value.
            values: names of those that are there.
            line: of the template, from 1; None: the first with the name.
        """
        lines = self.source.splitlines()
        found = next((place for place, text in enumerate(lines, 1) if name in text), 1)
        allowed = sorted(one for one in values if not one.startswith("_"))
        return self._error(
            line or found,
            f"'{name}' must be a column of the rows or a value that the operator gives, got "
            f"neither.{did_you_mean(name, allowed)}",
        )

    def _endless(self, line: int, most: str) -> PromptError:
        return self._error(line, f"must end, got a template that needed more than {most}. Shorten its loops.")

    def _line_in(self, traceback: TracebackType | None) -> int:
        line = 1
        while traceback is not None:
            if traceback.tb_frame.f_code.co_filename == str(self.file):
                line = traceback.tb_lineno
            traceback = traceback.tb_next
        return line

    def _error(self, line: int, message: str) -> PromptError:
        return PromptError(Problem(f"{self.file}:{self.line + line - 1}", message))
