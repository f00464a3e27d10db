"""The data row of an example, by its name."""

from limbeck.core.examples import data_row


def test_windows_and_second_examples_lead_to_their_row_whatever_it_is_called():
    rows = {"a", "b#1", "b"}
    found = {
        name: data_row(name, rows) for name in ("a", "a#3", "a#rationale#2", "b#1", "b#1#4", "b#2", "c#1")
    }
    assert found == {
        "a": "a", "a#3": "a", "a#rationale#2": "a", "b#1": "b#1", "b#1#4": "b#1", "b#2": "b", "c#1": "c#1",
    }  # fmt: skip
