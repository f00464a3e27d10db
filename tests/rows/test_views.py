"""Which targets of a teacher in its own chat format answer those of the student."""

import copy

import pytest

from limbeck.core.examples import data_row
from limbeck.rows.aligned import render_pair
from limbeck.rows.aligned.views import view_of, writes_alike
from limbeck.rows.render import Rendering, render
from tests.rows.families import SPECIAL, byte_level, sentencepiece
from tests.rows.test_aligned_pairs import BRACKETS, MARKS, chat, loss_mask, rows_of

CAUSAL = Rendering("causal", max_length=1000)
PLAIN = BRACKETS.replace("' ' + ", "")
FORGETFUL = (
    "{% for m in messages %}{% if m['role'] == 'user' %}{{ '[' + m['content'] + ']' }}"
    "{% elif loop.last %}{{ '<think>' + m['content'] + '</s>' }}"
    "{% else %}{{ m['content'] + '</s>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<think>' }}{% endif %}"
)
"""Writes a mark before the last answer only, so that earlier turns are not as the model wrote them."""
END, UNKNOWN = SPECIAL.index("</s>"), SPECIAL.index("<unk>")


def with_template(tokenizer, template):
    changed = copy.deepcopy(tokenizer)
    changed.chat_template = template
    return changed


def viewed(rows, ours, theirs, **limits):
    """The view, and by row the pairs of target ids (student's, teacher's or None) that it puts together."""
    student, teacher = (render(rows, tokenizer, CAUSAL) for tokenizer in (ours, theirs))
    pair = render_pair(rows, ours, theirs, CAUSAL, **limits)
    known = set(rows["id"])
    view = view_of(
        pair, student, teacher, data_row=lambda name: data_row(name, known), marks=range(len(SPECIAL))
    )
    pairs = {}
    for row in student:
        entries, ranks = view.answering[row["row_id"]]
        pairs[row["row_id"]] = [
            (own, loss_mask([teacher[int(entry)]])[rank] if entry >= 0 else None)
            for own, entry, rank in zip(loss_mask([row]), entries, ranks, strict=True)
        ]
    return view, pairs


def test_every_token_of_an_answer_is_answered_by_itself_and_its_end_by_the_teachers_end():
    tokenizer = byte_level(400)
    plain, marked = with_template(tokenizer, None), with_template(tokenizer, MARKS)
    rows = rows_of(chat("def a", "return b\n"), chat("one", "two", "three", "four"))
    view, pairs = viewed(rows, plain, marked)
    assert view.ends == {END: UNKNOWN}  # MARKS ends every turn with <unk>
    for found in pairs.values():
        assert [theirs for _, theirs in found] == [UNKNOWN if own == END else own for own, _ in found]


def test_a_first_token_that_the_formats_glue_to_other_text_is_not_answered():
    tokenizer = sentencepiece(400)
    plain, spaced = with_template(tokenizer, None), with_template(tokenizer, BRACKETS)
    view, pairs = viewed(rows_of(chat("one", "two three")), plain, spaced)
    answered = [(own, theirs) for own, theirs in pairs["r0"] if theirs is not None]
    assert answered[-1] == (END, END) and view.ends == {}
    assert all(own == theirs for own, theirs in answered)


@pytest.mark.parametrize("rewriting", ["teacher", "student", "both"])
def test_conversations_that_one_format_splits_are_answered_turn_by_turn(rewriting):
    tokenizer = byte_level(400)
    formats = {"teacher": MARKS, "student": PLAIN}
    for side in formats if rewriting == "both" else (rewriting,):
        formats[side] = FORGETFUL
    ours, theirs = (with_template(tokenizer, formats[side]) for side in ("student", "teacher"))
    rows = rows_of(chat("one", "two", "three", "four", "five", "six"))
    _, pairs = viewed(rows, ours, theirs)
    for side in (0, 1):
        ids = [pair[side] for found in pairs.values() for pair in found]
        assert tokenizer.decode(ids, skip_special_tokens=True) == "twofoursix"


def test_other_tokens_for_the_same_text_are_not_exchanged():
    tokenizer = byte_level(400)
    glued, apart = with_template(tokenizer, BRACKETS), with_template(tokenizer, PLAIN)
    view, pairs = viewed(rows_of(chat("one", "two three")), glued, apart)
    assert view.ends == {}
    assert all(own == theirs for own, theirs in pairs["r0"] if theirs is not None)
    assert pairs["r0"][0][1] is None


def test_targets_of_rows_that_were_cut_are_not_answered():
    tokenizer = byte_level(400)
    plain, marked = with_template(tokenizer, None), with_template(tokenizer, MARKS)
    rows = rows_of(chat("one", "a long answer that goes on and on"))
    view, _ = viewed(rows, plain, marked, teacher_max_length=24)
    entries, _ = view.answering["r0"]
    assert (entries[:3] >= 0).all() and (entries[-3:] < 0).all()


def test_tokenizers_write_alike_with_the_same_template_begin_and_end():
    tokenizer = byte_level(400)
    assert writes_alike(with_template(tokenizer, MARKS), with_template(tokenizer, MARKS))
    assert not writes_alike(with_template(tokenizer, MARKS), with_template(tokenizer, None))
    other = with_template(tokenizer, MARKS)
    other.eos_token = "<unk>"
    assert not writes_alike(with_template(tokenizer, MARKS), other)
