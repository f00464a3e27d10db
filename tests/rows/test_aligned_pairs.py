"""Rows rendered for two tokenizers: chunks by hand, cuts that lose nothing, batches, the cache."""

import numpy as np
import pytest
from datasets import Dataset

from limbeck.core.errors import ConfigError, RowError
from limbeck.core.masks import IGNORE
from limbeck.rows.aligned import render_pair
from limbeck.rows.aligned.ends import token_ends
from limbeck.rows.render import Rendering, notes_of, render
from limbeck.rows.source import PackedSource, PaddedSource
from tests.rows.families import SPECIAL, byte_level, library_text, sentencepiece, words_of

CAUSAL = Rendering("causal", max_length=10_000)
END = SPECIAL.index("</s>")
MARKS = (
    "{% for m in messages %}{{ '<' + m['role'] + '>' + m['content'] + '<unk>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}"
)
BRACKETS = (
    "{% for m in messages %}{% if m['role'] == 'user' %}{{ '[' + m['content'] + ']' }}"
    "{% else %}{{ ' ' + m['content'] + '</s>' }}{% endif %}{% endfor %}"
)


def rows_of(*rows):
    return Dataset.from_list([{**row, "id": f"r{i}"} for i, row in enumerate(rows)])


def without_chunks(rendered):
    return rendered.remove_columns("chunks").to_list()


def loss_mask(rendered):
    """Learnt ids of all rows in order."""
    return [
        token
        for row in rendered
        for token, is_target in zip(row["input_ids"], row["is_target"], strict=True)
        if is_target
    ]


def texts_of_chunks(rendered, tokenizer):
    """[row][chunk] what the tokens of each chunk spell, without spaces around."""
    found = []
    for row in rendered:
        chunks = np.asarray(row["chunks"])
        ids = np.asarray(row["input_ids"])
        spelt = ["".join(tokenizer.convert_ids_to_tokens(ids[chunks == n])) for n in range(chunks.max() + 1)]
        found.append([text.strip() for text in spelt])
    return found


def chat(*contents):
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[i % 2], "content": text} for i, text in enumerate(contents)]}


def templated(tokenizer, template):
    tokenizer.chat_template = template
    return tokenizer


def test_chunks_of_a_text_by_hand():
    student, teacher = words_of("ab", "cd", begin=True), words_of("abc", begin=True)
    pair = render_pair(rows_of({"text": "abcde"}), student, teacher, CAUSAL)
    # <s>|ab|cd|e|</s> and <s>|abc|d|e|</s>: both end behind d, e and the end.
    assert pair.student[0]["chunks"] == [-1, 0, 0, 1, 2]
    assert pair.teacher[0]["chunks"] == [-1, 0, 0, 1, 2]
    assert pair.student[0]["input_ids"][-1] == pair.teacher[0]["input_ids"][-1] == END


def test_a_first_token_that_nothing_predicts_leaves_its_chunk_out_on_both_sides():
    student, teacher = words_of("ab", "cd"), words_of("abc", begin=True)
    pair = render_pair(rows_of({"text": "abcde"}), student, teacher, CAUSAL)
    assert pair.student[0]["chunks"] == [-1, -1, 0, 1]
    assert pair.teacher[0]["chunks"] == [-1, -1, -1, 0, 1]
    assert pair.student[0]["is_target"] == [True] * 4


def test_prompts_are_not_aligned_and_the_end_is_a_chunk_of_its_own():
    student, teacher = words_of("ab"), words_of("abc")
    pair = render_pair(rows_of({"prompt": "ab ", "completion": "abcd"}), student, teacher, CAUSAL)
    assert pair.student[0]["chunks"] == [-1, -1, 0, 0, 1, 2]
    assert pair.teacher[0]["chunks"] == [-1, -1, -1, 0, 1, 2]


def test_the_student_reads_what_it_reads_alone():
    rows = rows_of(
        *(
            {"prompt": f"{line} ", "completion": line}
            for line in library_text().split("\n")[:200]
            if line.strip()
        )
    )
    student = byte_level(600)
    pair = render_pair(rows, student, sentencepiece(500), CAUSAL)
    assert without_chunks(pair.student) == render(rows, student, CAUSAL).to_list()
    assert without_chunks(pair.teacher) == render(rows, sentencepiece(500), CAUSAL).to_list()


def test_one_tokenizer_on_both_sides_renders_twice_the_same_windows():
    rows, rendering = rows_of({"text": library_text()[:3_000]}), Rendering("causal", max_length=50)
    pair = render_pair(rows, byte_level(600), byte_level(600), rendering)
    assert without_chunks(pair.student) == without_chunks(pair.teacher)
    assert without_chunks(pair.student) == render(rows, byte_level(600), rendering).to_list()
    assert all(chunks[1:] == list(range(len(chunks) - 1)) for chunks in pair.student["chunks"])


@pytest.mark.parametrize("limits", [(64, None), (64, 40), (200, 12), (7, 7), (2, 2), (3, None)])
def test_windows_end_together_and_learn_every_token_once(limits):
    tokenizers = byte_level(600), sentencepiece(500)
    rows = rows_of({"text": library_text()[:2_000]}, {"text": "你好 🙂\r\n\x00e\u0301"}, {"text": "a"})
    pair = render_pair(rows, *tokenizers, Rendering("causal", limits[0]), teacher_max_length=limits[1])
    assert pair.student["row_id"] == pair.teacher["row_id"]
    for rendered, tokenizer, limit in zip(pair, tokenizers, limits, strict=True):
        whole = render(rows, tokenizer, CAUSAL)
        assert loss_mask(rendered) == loss_mask(whole)
        assert limit is None or max(map(len, rendered["input_ids"])) <= limit
    assert [set(one) for one in pair.student["chunks"]] == [set(one) for one in pair.teacher["chunks"]]


def test_windows_spell_the_same_bytes_on_both_sides():
    text = library_text()[:4_000]
    tokenizers = byte_level(600), sentencepiece(500)
    pair = render_pair(rows_of({"text": text}), *tokenizers, Rendering("causal", 64), teacher_max_length=48)
    counts = []
    for rendered, tokenizer in zip(pair, tokenizers, strict=True):
        [(_, ends)] = token_ends(tokenizer, [text])
        read = np.cumsum([sum(flags) for flags in rendered["is_target"]])
        counts.append([int(ends[n - 1]) if n <= len(ends) else len(text.encode()) for n in read])
    assert counts[0] == counts[1]
    assert counts[0][-1] == len(text.encode())
    assert notes_of(pair.student) == ["texts cut into windows of max_length: 1."]


def test_an_answer_is_cut_at_the_last_chunk_that_fits_both_sides_without_an_end():
    student, teacher = words_of("ab", "cd"), words_of("abc")
    row = {"prompt": "x ", "completion": "abcdefgh"}
    # Student x| |ab|cd|e|f|g|h, teacher x| |abc|d|e|f|g|h: 6 tokens of the teacher end with f.
    pair = render_pair(rows_of(row), student, teacher, Rendering("causal", 7), teacher_max_length=6)
    assert pair.student[0]["chunks"] == pair.teacher[0]["chunks"] == [-1, -1, 0, 0, 1, 2]
    assert END not in pair.student[0]["input_ids"] + pair.teacher[0]["input_ids"]
    assert notes_of(pair.student) == ["answers cut at max_length, so that their end is not taught: 1."]


def test_an_answer_whose_first_chunk_does_not_fit_is_not_aligned_and_counted():
    pair = render_pair(
        rows_of({"prompt": "x ", "completion": "abcd"}), words_of("abcd"), words_of(), Rendering("causal", 9),
        teacher_max_length=4,
    )  # fmt: skip
    assert set(pair.student[0]["chunks"]) == set(pair.teacher[0]["chunks"]) == {-1}
    assert "rows without a chunk that both tokenizers bound: 1." in notes_of(pair.student)


def test_a_prompt_too_long_for_the_teacher_is_refused_by_name():
    with pytest.raises(
        RowError, match="row r0: its prompt must leave room within teacher_max_length 3, got 4"
    ):
        render_pair(
            rows_of({"prompt": "xyz ", "completion": "a"}),
            words_of(),
            words_of(),
            CAUSAL,
            teacher_max_length=3,
        )


def test_templates_may_write_around_the_turn_what_they_like():
    student = templated(words_of("<user>", "<assistant>", "ab"), MARKS)
    teacher = templated(words_of("abc"), BRACKETS)
    pair = render_pair(rows_of(chat("q", "abcd", "r", "ab")), student, teacher, CAUSAL)
    # Two turns, each with its end: ab|c|d against abc|d, then ab against a|b;
    # the space that one template writes belongs to the first chunk.
    assert texts_of_chunks(pair.student, student) == [["abc", "d", "<unk>", "ab", "<unk>"]]
    assert texts_of_chunks(pair.teacher, teacher) == [["abc", "d", "</s>", "ab", "</s>"]]
    assert (
        without_chunks(pair.student)
        == render(rows_of(chat("q", "abcd", "r", "ab")), student, CAUSAL).to_list()
    )


def test_a_chat_template_aligns_with_plain_turns():
    student, teacher = templated(words_of("<user>", "<assistant>", "ab"), MARKS), words_of("abc")
    pair = render_pair(rows_of(chat("q", "abcd")), student, teacher, CAUSAL)
    assert texts_of_chunks(pair.teacher, teacher) == [["abc", "d", "</s>"]]
    assert texts_of_chunks(pair.student, student) == [["abc", "d", "<unk>"]]


def test_templates_without_anything_in_common_are_refused_by_name():
    shouting = MARKS.replace("m['content'] +", "m['content'].upper() +")
    student, teacher = templated(words_of(), MARKS), templated(words_of(), shouting)
    with pytest.raises(RowError, match="row r0: text in the loss must begin alike for student and teacher"):
        render_pair(rows_of(chat("q", "abc")), student, teacher, CAUSAL)


def test_whole_conversations_under_two_templates_are_refused_by_name():
    student, teacher = templated(words_of(), MARKS), words_of()
    with pytest.raises(RowError, match=r"row r0: text in the loss must .* Set loss_on: all_assistant"):
        render_pair(rows_of(chat("q", "abc")), student, teacher, Rendering("causal", 99, loss_on="all"))


def test_a_model_that_is_not_causal_is_refused():
    with pytest.raises(ConfigError, match="model_kind must be causal for two tokenizers, got seq2seq"):
        render_pair(
            rows_of({"prompt": "a", "completion": "b"}), words_of(), words_of(), Rendering("seq2seq", 9)
        )


def test_batches_say_which_chunk_each_output_must_predict():
    student, teacher = words_of("ab", "cd", begin=True), words_of("abc", begin=True)
    rows = rows_of({"text": "abcde"}, {"text": "abc"})
    pair = render_pair(rows, student, teacher, CAUSAL)
    padded = PaddedSource(pair.student, CAUSAL, pad_id=0).batch([0, 1])
    # abcde: <s>|ab|cd|e|</s>. abc: <s>|ab|c|</s> against <s>|abc|</s>.
    assert padded.signals["chunks"].tolist() == [[0, 0, 1, 2, -1], [0, 0, 1, -1, -1]]
    assert ((padded.signals["chunks"] >= 0) <= (padded.targets != IGNORE)).all()
    packed = PackedSource(pair.student, CAUSAL, 9, seed=0).batch([0])
    assert sorted(packed.signals["chunks"][0].tolist()) == [-1, -1, 0, 0, 0, 0, 1, 1, 2]
    assert (packed.signals["chunks"][packed.targets == IGNORE] == -1).all()


def test_rows_without_chunks_have_no_such_signal():
    rendered = render(rows_of({"text": "abc"}), words_of(), CAUSAL)
    assert PaddedSource(rendered, CAUSAL, 0).batch([0]).signals == {}
    assert PackedSource(rendered, CAUSAL, 9, 0).batch([0]).signals == {}


def test_a_kept_pair_is_read_again_and_another_is_made(tmp_path, monkeypatch):
    rows, tokenizers = rows_of({"text": "abcde"}), (words_of("ab"), words_of("abc"))
    made = render_pair(rows, *tokenizers, CAUSAL, cache=tmp_path)
    monkeypatch.setattr("limbeck.rows.aligned.pairs._rendered", None)
    again = render_pair(rows_of({"text": "abcde"}), words_of("ab"), words_of("abc"), CAUSAL, cache=tmp_path)
    assert [one.to_list() for one in again] == [one.to_list() for one in made]
    for other in (
        (rows_of({"text": "abcdf"}), *tokenizers, CAUSAL),
        (rows, tokenizers[1], tokenizers[0], CAUSAL),
        (rows, *tokenizers, Rendering("causal", 3)),
    ):
        with pytest.raises(TypeError):
            render_pair(*other, cache=tmp_path)


def test_what_one_template_alone_writes_before_the_turn_is_in_no_chunk():
    thinking = MARKS.replace(
        "m['content'] +", "('think.' if m['role'] == 'assistant' else '') + m['content'] +"
    )
    student, teacher = templated(words_of("<assistant>"), MARKS), templated(words_of("<assistant>"), thinking)
    pair = render_pair(rows_of(chat("q", "abc")), student, teacher, CAUSAL)
    assert texts_of_chunks(pair.teacher, teacher) == [["a", "b", "c", "<unk>"]]
    assert sum(pair.teacher[0]["is_target"]) == len("think.abc") + 1


def test_an_end_that_one_side_lacks_does_not_join_the_next_turn():
    # The student's template closes a turn, the teacher's does not before the last.
    bare = "{% for m in messages %}{{ '[' + m['role'] + ']' + m['content'] }}{% endfor %}"
    bare += "{% if add_generation_prompt %}{{ '[assistant]' }}{% endif %}"
    student, teacher = templated(words_of(), MARKS), templated(words_of(), bare)
    pair = render_pair(rows_of(chat("q", "ab", "r", "c")), student, teacher, CAUSAL)
    assert texts_of_chunks(pair.student, student) == [["a", "b", "c", "<unk>"]]
    assert texts_of_chunks(pair.teacher, teacher) == [["a", "b", "c", "</s>"]]
