"""Completions as the page shows them."""

from limbeck.report.samples import folded, samples


def test_a_line_that_comes_again_and_again_is_written_once():
    assert folded("a\n" + "#\n" * 29 + "b") == "a\n#<mark>29 times in a row</mark>\nb"


def test_loops_of_words_and_of_several_lines_are_folded():
    assert folded("x =" + " the" * 6) == "x = the<mark>6 times in a row</mark>"
    assert folded("import os\nimport re\n" * 4) == "import os\nimport re\n<mark>4 times in a row</mark>\n"


def test_empty_lines_are_counted():
    assert folded("a" + "\n" * 61 + "b") == "a\n<mark>60 empty lines</mark>\nb"


def test_rulers_indentation_and_three_in_a_row_are_left_alone():
    text = "# -----------\n                x = 1\na\na\na\n"
    assert folded(text) == text


def test_what_models_wrote_stays_escaped():
    assert folded("<b>" * 5) == "&lt;b&gt;<mark>5 times in a row</mark>"


def test_a_long_text_is_cut_and_can_be_read_whole():
    text = " ".join(map(str, range(1000)))
    (sample,) = samples([{"prompt": "p\nq", "reference": "r", "texts": {"student": text}}])
    shown = sample["texts"]["student"]
    assert len(shown["short"]) < len(text) and "characters more" in shown["short"] and shown["whole"] == text
    assert sample["title"] == "p q" and sample["reference"] == {"short": "r", "whole": ""}
