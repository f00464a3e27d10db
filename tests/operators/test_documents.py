"""Pages on a grid, answers from documents, and pairs of sentences."""

import asyncio
import doctest
import sys
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from limbeck.core.asking import Failure, FailureClass, RequestFailed
from limbeck.core.errors import ConfigError, RowError
from limbeck.operators import retrieve, retrieve_answer, sentence_pairs, verbalise
from limbeck.operators.grid import Box, on_grid
from tests.operators.scripted import Scripted, read_by, reasons, student_part


def run(operator, given, said, **options):
    teacher = Scripted(said)
    return asyncio.run(operator(given, teacher, **options)), teacher


def word(text: str, left: float, top: float, *, width: float = 1.0) -> tuple[str, Box]:
    return text, Box(left, top, left + width * len(text), top + 1)


def test_a_word_begins_in_the_column_of_its_left_edge() -> None:
    # Ten mean widths from the left edge: 10 - len("sum") spaces between.
    assert on_grid([word("sum", 50, 5), word("42", 60, 5)]) == "sum" + " " * 7 + "42"
    assert on_grid([word("sum", 500, 5, width=10), word("42", 600, 5, width=10)]) == "sum" + " " * 7 + "42"


def test_the_order_of_the_words_does_not_matter() -> None:
    words = [word("a", 0, 0), word("b", 5, 0.2), word("c", 0, 2), word("d", 5, 1.8), word("e", 2, 9)]
    expected = on_grid(words)
    assert on_grid(words[::-1]) == on_grid(sorted(words)) == expected
    assert expected.split("\n") == ["a    b", "c    d", "", "", "  e"]


def test_words_that_would_touch_have_a_space_between() -> None:
    assert on_grid([word("wide", 0, 0), word("next", 2, 0)]) == "wide next"


def test_a_gap_has_no_more_blank_lines_than_asked_for() -> None:
    assert on_grid([word("a", 0, 0), word("b", 0, 50)], most_blank_lines=1) == "a\n\nb"


PAGE = {"id": "a", "words": ["sum", "42"], "boxes": [[0, 0, 3, 1], [10, 0, 12, 1]]}


def test_the_question_stands_above_the_page() -> None:
    rows, _ = run(verbalise, {**PAGE, "question": "Sum?", "answer": "42"}, [])
    assert student_part(rows[0]) == {"prompt": "Sum?\n\nsum       42", "completion": "42"}
    rows, _ = run(verbalise, PAGE, [], spaces="count")
    assert student_part(rows[0]) == {"prompt": "sum <7> 42"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"boxes": [[0, 0, 3, 1]]}, "lists of one length, got 2 and 1"),
        ({"boxes": [[3, 0, 0, 1]] * 2}, "a box must be"),
    ],
)
def test_a_page_needs_a_box_for_every_word(change, said) -> None:
    with pytest.raises(RowError, match=said):
        run(verbalise, {**PAGE, **change}, [])


def test_a_tokenizer_that_loses_the_layout_is_refused(tmp_path) -> None:
    words = Tokenizer(models.WordLevel({"a": 0, "b": 1, "[UNK]": 2}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    alphabet = {sign: place for place, sign in enumerate(pre_tokenizers.ByteLevel.alphabet())}
    letters = Tokenizer(models.BPE(alphabet, []))
    letters.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    letters.decoder = decoders.ByteLevel()
    for name, made in (("words", words), ("letters", letters)):
        PreTrainedTokenizerFast(tokenizer_object=made).save_pretrained(tmp_path / name)
    with pytest.raises(ConfigError, match=r"spaces: must be count for .*words, got keep"):
        run(verbalise, PAGE, [], student=str(tmp_path / "words"))
    assert run(verbalise, PAGE, [], student=str(tmp_path / "words"), spaces="count")[0]
    assert run(verbalise, PAGE, [], student=str(tmp_path / "letters"))[0]


def docs(place: int) -> dict:
    return {
        "id": str(place),
        "question": f"q{place}",
        "documents": [f"no {place}", f"yes {place}"],
        "helpful": [1],
        "answer": "gold",
    }


ROWS = [docs(place) for place in range(40)]


def test_the_teacher_reads_what_helps_and_the_student_reads_it_among_others() -> None:
    said = 'It says "yes".\nAnswer: yes'
    rows, teacher = run(retrieve_answer, ROWS, lambda request: said, distractors=3, without=0.25)
    assert all(
        "Document 1:\nyes" in read_by(one) and "no " not in read_by(one).split("Question")[0]
        for one in teacher.asked
    )
    for place, row in enumerate(rows):
        shown = [line for line in row["prompt"].splitlines() if line.startswith(("yes", "no"))]
        assert (f"yes {place}" in shown) is row["helped"] and f"no {place}" in shown
        assert len(shown) == len(set(shown)) == 4  # without what helps one more that does not
        assert row["prompt"].endswith(f"Question: q{place}") and row["reference"] == "gold"
        assert row["completion"] == 'It says "yes". Answer: yes'
        assert "documents" not in row and "helpful" not in row
    assert 4 <= sum(not row["helped"] for row in rows) <= 17  # of 40 at 1/4: 10 +- 2.5 deviations
    assert len({row["prompt"].index("yes") for row in rows if row["helped"]}) > 1  # its place changes


def test_the_answer_alone_can_be_learnt() -> None:
    rows, _ = run(retrieve_answer, ROWS[:3], lambda request: "r\nAnswer: yes", distractors=1, learn="answer")
    assert [row["completion"] for row in rows] == ["yes"] * 3


def test_all_documents_help_where_nothing_is_said_of_it() -> None:
    rows = [
        {"id": "a", "prompt": "p", "documents": ["x", "y"]},
        {"id": "b", "prompt": "q", "documents": ["z"]},
    ]
    made, teacher = run(retrieve_answer, rows, lambda request: "r\nAnswer: a", distractors=1, without=0.0)
    assert "Document 2:\ny" in read_by(teacher.asked[0])
    assert sorted(line for line in made[0]["prompt"].splitlines() if line in "xyz" and line) == [
        "x",
        "y",
        "z",
    ]


def test_documents_and_distractors_must_be_there() -> None:
    with pytest.raises(RowError, match="row a: documents must be a list of texts"):
        run(retrieve_answer, [{"id": "a", "prompt": "p"}], [])
    with pytest.raises(
        ConfigError, match="distractors: must be at most the documents of other rows, 1, got 4"
    ):
        run(retrieve_answer, ROWS[:1], lambda request: "r\nAnswer: a", without=0.0)


@pytest.mark.parametrize("documents", ["a text", '{"a": 1}', 7])
def test_documents_must_be_a_list(documents) -> None:
    with pytest.raises(RowError, match="row a: documents must be a list, got"):
        run(retrieve_answer, [{"id": "a", "prompt": "p", "documents": documents}], [])


def test_an_answer_without_reasons_is_rejected() -> None:
    rows, _ = run(
        retrieve_answer,
        ROWS[:2],
        lambda request: "Answer: a" if "q0" in read_by(request) else "r\nAnswer: a",
        distractors=1,
    )
    assert reasons(rows) == ["no_rationale", None]


def continued(request):
    if request.text == "ROME --":
        return ("It rained. The river rose. And", "Nothing", "Up. Down.")[request.sample]
    failed = RequestFailed(Failure(FailureClass.TRANSIENT, "timeout", "30 s", key="k"))
    candidates = ["The river rose a lot. Then", "The water came up.", "no end", "The water came up.", failed]
    return candidates[request.sample] if request.text == "It rained." else f"Number {request.sample}."


def test_any_two_sentences_in_one_place_are_a_pair() -> None:
    rows, teacher = run(sentence_pairs, {"id": "a", "text": "ROME --"}, continued, contexts=3, candidates=5)
    assert student_part(rows[0]) == {
        "prompt": "The river rose a lot.",
        "completion": "The water came up.",
        "left": "It rained.",
        "candidates": 2,
    }
    assert reasons(rows) == [None, "timeout", "no_context", *[None] * 10]
    assert [row["id"] for row in rows[:4]] == ["a~pair0.0", "a~pair0.1", "a~pair1", "a~pair2.0"]
    first = teacher.asked[0]
    assert (first.max_tokens, first.temperature, first.top_p, first.stop) == (150, 1.0, 0.9, ("\n",))


def test_pairs_can_be_drawn_from_all() -> None:
    rows, _ = run(
        sentence_pairs,
        {"id": "a", "text": "Up"},
        lambda request: "A b. C d." if request.text == "Up" else f"Number {request.sample}.",
        contexts=1,
        candidates=6,
        most_pairs=4,
    )
    assert len(rows) == 4 and len({(row["prompt"], row["completion"]) for row in rows}) == 4
    assert all(row["prompt"] < row["completion"] for row in rows)


@pytest.mark.parametrize("name", ["grid", "local_tools", "task_filters", "sentence_pairs"])
def test_examples_in_docstrings_hold(name) -> None:
    tried = doctest.testmod(sys.modules[f"limbeck.operators.{name}"])
    assert tried.attempted and not tried.failed


def test_equal_beginnings_are_continued_differently() -> None:
    teacher = Scripted(lambda request: "A b. C d." if request.text == "Up" else f"Number {request.sample}.")
    for row_id in ("a", "b"):
        asyncio.run(sentence_pairs({"id": row_id, "text": "Up"}, teacher, contexts=1, candidates=2))
    assert len(teacher.asked) == 6


CORPUS = str(Path(__file__).parent / "corpus.csv")
ADA, RIVER, ROME, INK = (
    "Ada lives in Rome.",
    "The Tiber is a river of Rome.",
    "Rome is old, Rome is large.",
    "Ink is a fluid.",
)


def found(row, **options):
    (made,), teacher = run(retrieve, [{"id": "a", **row}], [], corpus=CORPUS, **options)
    assert not teacher.asked
    return made


def test_documents_that_were_found_with_the_answer_in_them_help() -> None:
    made = found({"question": "Who lives in Rome?", "answer": "ada"}, top=2)
    assert made["documents"][0] == ADA and made["helpful"] == [0] and made["found"]
    made = found({"question": "What of Rome is a river?", "answer": "The Tiber"}, top=3)
    assert [made["documents"][place] for place in made["helpful"]] == [RIVER]


def test_documents_of_the_row_that_help_are_kept_where_the_search_does_not_find_them() -> None:
    asked = {"question": "Old or large?", "answer": "a fluid", "documents": [RIVER, INK], "helpful": [1]}
    made = found(asked, top=2)
    assert made["documents"] == [INK, ROME] and made["helpful"] == [0] and not made["found"]


def test_a_student_in_use_reads_what_was_found_and_nobody_says_what_helps() -> None:
    made = found({"question": "Old or large?", "answer": "x", "documents": [INK]}, top=2, own=False)
    assert made["documents"] == [ROME] and made["helpful"] is None and not made["found"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"corpus": "nowhere.csv"}, "corpus: must be a file that ends with"),
        ({"corpus": CORPUS, "column": "body"}, "column: must be a column of"),
    ],
)
def test_a_corpus_that_cannot_be_searched_is_refused(options, said) -> None:
    with pytest.raises(ConfigError, match=said):
        run(retrieve, [{"id": "a", "prompt": "p"}], [], **options)
