"""Models as a command line names them outside of recipes."""

from limbeck.core.config import validate
from limbeck.core.errors import ConfigError, Problem
from limbeck.recipes.students.student import Student
from limbeck.recipes.teachers import EndpointTeacher, Teacher
from limbeck.recipes.text import read_yaml


def endpoint_typed(text: str) -> EndpointTeacher | None:
    """The endpoint that `{endpoint: URL, model: NAME}` names; None of anything else.

    Raises:
        ConfigError: an endpoint with something wrong.
    """
    if not text.lstrip().startswith("{"):
        return None
    plain = read_yaml(text)
    if not isinstance(plain, dict) or "endpoint" not in plain:
        return None
    found = validate(Teacher, plain, "teacher")
    assert isinstance(found, EndpointTeacher)
    return found


def typed_model(text: str, what: str = "model") -> str:
    """The word for a model: a folder or id as it is, or `{model: DIR, gguf_file: NAME}`.

    Args:
        text: as it was typed.
        what: it is, for messages.

    Raises:
        ConfigError: braces that name no model as it is.
    """
    if not text.lstrip().startswith("{"):
        return text
    found = validate(Student, read_yaml(text), what)
    if found.form != "model" or found.tokenizer is not None:
        raise ConfigError(
            Problem(
                what, f"must be a model as it is, for example {{model: DIR, gguf_file: NAME}}, got {text}."
            )
        )
    return found.origin
