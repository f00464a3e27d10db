"""A function of a catalogue, named in a recipe with its settings."""

from typing import ClassVar

import pytest

from limbeck.core.config import validate
from limbeck.core.errors import ConfigError
from limbeck.recipes.calls import Call


class Curve(Call):
    """A schedule, which stands for any catalogue."""

    package: ClassVar[str] = "schedules"
    noun: ClassVar[str] = "schedule"


def test_a_name_alone_and_a_name_with_settings_come_back_as_they_were_written() -> None:
    written = {"name": "linear", "start": 0.0, "stop": 2.0}
    assert Curve.model_validate(written).model_dump() == written
    assert Curve.model_validate({"name": "linear", "start": 0.0, "stop": 2.0}).options["stop"] == 2.0


def test_all_that_is_wrong_with_the_settings_is_said_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        validate(Curve, {"name": "linear", "stop": "far", "stpo": 1})
    said = str(caught.value)
    assert "unknown option 'stpo'" in said and "linear needs start" in said
    assert "stop must be a valid number" in said and "'far'" in said


def test_an_unknown_name_is_told_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"unknown schedule 'linaer'\. Did you mean 'linear'"):
        validate(Curve, {"name": "linaer"})
