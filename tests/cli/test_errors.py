"""How commands end."""

import pytest

from limbeck.cli.errors import guarded
from limbeck.core.asking import Paused


def test_a_pause_has_an_exit_code_of_its_own_and_says_how_to_go_on(capsys):
    @guarded
    def command():
        raise Paused("budget", "2.10 of 2.00 were spent.")

    with pytest.raises(SystemExit) as ended:
        command()
    said = capsys.readouterr().err
    assert ended.value.code == 75  # EX_TEMPFAIL of sysexits.h
    assert said.splitlines() == [
        "paused: budget. 2.10 of 2.00 were spent.",
        "Nothing is lost: the same command goes on where it stopped.",
    ]
