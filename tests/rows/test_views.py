"""Which targets of a teacher in its own chat format answer those of the student."""

import copy

import numpy as np

from limbeck.rows.aligned import render_pair
from limbeck.rows.aligned.views import view_of, writes_alike
from limbeck.rows.render import Rendering, render
from tests.rows.families import SPECIAL, byte_level, sentencepiece
from tests.rows.test_aligned_pairs import BRACKETS, MARKS, chat, learnt, rows_of

CAUSAL = Rendering("causal", max_length=1000)
END, UNKNOWN = SPECIAL.index("</s>"), SPECIAL.index("<unk>")


def with_template(tokenizer, template):
    changed = copy.deepcopy(tokenizer)
    changed.chat_template = template
    return changed


def ids_at(view, student, teacher):
    """[row] pairs of target ids (student's, teacher's or None) that the view puts together."""
    found = []
    for number in range(len(view.row_ids)):
        ours, theirs = (learnt([side[number]]) for side in (student, teacher))
        ranks = view.partners[number]
        found.append(
            [(own, theirs[rank] if rank >= 0 else None) for own, rank in zip(ours, ranks, strict=True)]
        )
    return found


def test_every_token_of_an_answer_is_answered_by_itself_and_its_end_by_the_teachers_end():
    tokenizer = byte_level(400)
    plain, marked = with_template(tokenizer, None), with_template(tokenizer, MARKS)
    rows = rows_of(chat("def a", "return b\n"), chat("one", "two", "three", "four"))
    pair = render_pair(rows, plain, marked, CAUSAL)
    view = view_of(pair)
    assert view.ends == {END: UNKNOWN}  # MARKS ends every turn with <unk>
    for pairs in ids_at(view, pair.student, pair.teacher):
        assert [theirs for _, theirs in pairs] == [UNKNOWN if own == END else own for own, _ in pairs]


def test_a_first_token_that_the_formats_glue_to_other_text_is_not_answered():
    tokenizer = sentencepiece(400)
    plain, spaced = with_template(tokenizer, None), with_template(tokenizer, BRACKETS)
    pair = render_pair(rows_of(chat("one", "two three")), plain, spaced, CAUSAL)
    view = view_of(pair)
    [pairs] = ids_at(view, pair.student, pair.teacher)
    answered = [theirs for _, theirs in pairs if theirs is not None]
    assert len(answered) > 0 and answered[-1] == END and view.ends == {}
    assert all(own == theirs for own, theirs in pairs if theirs is not None)


def test_targets_of_rows_that_were_cut_are_not_answered():
    tokenizer = byte_level(400)
    plain, marked = with_template(tokenizer, None), with_template(tokenizer, MARKS)
    rows = rows_of(chat("one", "a long answer that goes on and on"))
    view = view_of(render_pair(rows, plain, marked, CAUSAL, teacher_max_length=24))
    whole = view.of_rows(render(rows, plain, CAUSAL))["r0"]
    assert (whole[:3] >= 0).all() and (whole[-3:] < 0).all()


def test_tokenizers_write_alike_with_the_same_template_begin_and_end():
    tokenizer = byte_level(400)
    assert writes_alike(with_template(tokenizer, MARKS), with_template(tokenizer, MARKS))
    assert not writes_alike(with_template(tokenizer, MARKS), with_template(tokenizer, None))
    other = with_template(tokenizer, MARKS)
    other.eos_token = "<unk>"
    assert not writes_alike(with_template(tokenizer, MARKS), other)


def test_ranks_rise_within_a_row():
    tokenizer = byte_level(400)
    plain, marked = with_template(tokenizer, None), with_template(tokenizer, MARKS)
    view = view_of(render_pair(rows_of(chat("q", "x y z w"), chat("q", "f(x)")), plain, marked, CAUSAL))
    for number in range(2):
        ranks = view.partners[number]
        assert (np.diff(ranks[ranks >= 0]) > 0).all()
