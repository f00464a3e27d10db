"""The order of classes: a tuned head's own names decide, and contradictions are printed."""

import pytest

from limbeck.core.class_names import agreed_classes, class_of
from limbeck.core.errors import ModelError

POSITIVE_FIRST = ("positive", "negative")


def test_the_names_of_a_tuned_head_decide_the_order():
    assert agreed_classes(("negative", "positive"), {"teacher": POSITIVE_FIRST, "base": ()}) == POSITIVE_FIRST


def test_names_are_compared_without_case_blanks_and_kind_of_seam():
    head = ("Not_Entailment", "ENTAILMENT")
    assert agreed_classes(("entailment", "not entailment "), {"teacher": head}) == head
    assert class_of(" not-entailment", head) == 0


def test_labels_without_a_tuned_head_keep_their_order():
    assert agreed_classes(("a", "b"), {"base": ()}) == ("a", "b")


@pytest.mark.parametrize("head", [("LABEL_0", "LABEL_1", "LABEL_2"), ("0", "1", "2"), ("label_0", "1", "2")])
def test_a_head_without_names_goes_by_the_numbers_of_the_labels(head):
    names = agreed_classes(("0", "2"), {"teacher": head})
    assert [class_of(label, names) for label in ("0", "2")] == [0, 2]


def test_numbers_mean_the_classes_of_a_named_head():
    names = agreed_classes(("0", "1"), {"teacher": POSITIVE_FIRST})
    assert names == POSITIVE_FIRST
    assert [class_of(label, names) for label in ("0", "1")] == [0, 1]


def test_a_number_is_no_place_where_names_are_numbers():
    assert [class_of(label, ("1", "0")) for label in ("0", "1")] == [1, 0]
    assert class_of("-1", ("negative", "positive")) is None


def test_rows_may_lack_classes_that_the_head_has():
    assert agreed_classes(("c",), {"teacher": ("a", "b", "c")}) == ("a", "b", "c")


def test_labels_that_the_head_does_not_have_are_refused_with_both_orders():
    with pytest.raises(
        ModelError,
        match=r"classes of teacher, 0: positive, 1: negative, got 0: bad, 1: positive; .*has no bad",
    ):
        agreed_classes(("bad", "positive"), {"teacher": POSITIVE_FIRST})


def test_two_heads_of_other_orders_are_refused_with_both():
    heads = {"teacher": POSITIVE_FIRST, "student": ("negative", "positive")}
    with pytest.raises(
        ModelError, match=r"0: positive, 1: negative in teacher and 0: negative, 1: positive in student"
    ):
        agreed_classes(("negative", "positive"), heads)


def test_a_head_without_names_needs_as_many_classes_as_there_are_labels():
    with pytest.raises(
        ModelError, match=r"one class for each label of the rows, 3 \(a, b, c\), got 2 classes"
    ):
        agreed_classes(("a", "b", "c"), {"teacher": ("LABEL_0", "LABEL_1")})
