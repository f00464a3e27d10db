"""How a command ends: exit codes, short messages, and a traceback only when asked for."""

import functools
import os
import sys
import traceback
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from limbeck.core.errors import Interrupted, LimbeckError, ResourceError, UserError
from limbeck.core.storage import storage_problem

DONE, FAILED, WRONG_INPUT, PAUSED, INTERRUPTED = 0, 1, 2, 75, 130
_MOST, _LONGEST = 50, 3_000  # problems that are said, characters of each
_WIDEST = 40  # a longer place gets a line of its own

P = ParamSpec("P")
T = TypeVar("T")


def guarded(command: Callable[P, T]) -> Callable[P, T]:
    """A command whose errors are said in a line each; the exit code says whose mistake it was."""

    @functools.wraps(command)
    def ending(*arguments: P.args, **options: P.kwargs) -> T:
        try:
            return command(*arguments, **options)
        except UserError as error:
            _say_user_error(error)
            raise SystemExit(WRONG_INPUT) from None
        except (KeyboardInterrupt, Interrupted) as error:
            _trace()
            print(f"\n{str(error) or 'interrupted'}", file=sys.stderr)
            print("The same command goes on where it stopped.", file=sys.stderr)
            raise SystemExit(INTERRUPTED) from None
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader of a pipe has gone
            raise SystemExit(FAILED) from None
        except LimbeckError as error:
            _trace()
            if error.exit_code == PAUSED:
                _say_paused(error)
            else:
                print(f"error: {error}", file=sys.stderr)
            raise SystemExit(error.exit_code) from None
        except Exception as error:
            said = storage_problem(error)
            if said is not None:
                _say_user_error(ResourceError(said))
                raise SystemExit(WRONG_INPUT) from None
            _trace()
            first = (str(error).strip() or "no message").split("\n")[0]
            print(f"error: {type(error).__name__}: {first}", file=sys.stderr)
            if not debugging():
                print(
                    "This is a fault of limbeck, not of your input. See where with --debug.", file=sys.stderr
                )
            raise SystemExit(FAILED) from None

    return ending


def _say_paused(error: LimbeckError) -> None:
    if _is_main_rank():
        print(error, file=sys.stderr)
        print("Nothing is lost: the same command goes on where it stopped.", file=sys.stderr)


def _say_user_error(error: UserError) -> None:
    _trace()
    if not _is_main_rank():
        return
    for problem in error.problems[:_MOST]:
        place = f"{problem.where}: " if problem.where else ""
        gap = "\n    " if len(place) > _WIDEST else ""
        print(f"error: {place.rstrip() if gap else place}{gap}{_shortened(problem.message)}", file=sys.stderr)
    if len(error.problems) > _MOST:
        print(f"error: and {len(error.problems) - _MOST:,} more.", file=sys.stderr)


def _shortened(message: str) -> str:
    """A message without the middle of what is too long to read, such as a value of a megabyte."""
    if len(message) <= _LONGEST:
        return message
    kept = _LONGEST // 2
    return f"{message[:kept]} [{len(message) - 2 * kept:,} characters left out] {message[-kept:]}"


def _is_main_rank() -> bool:
    # Every rank finds the same mistakes; set by torchrun and accelerate launch.
    return os.environ.get("RANK", "0") == "0"


def debugging() -> bool:
    """Whether the user asked for tracebacks."""
    return "--debug" in sys.argv[1:]


def _trace() -> None:
    if debugging():
        traceback.print_exc()
