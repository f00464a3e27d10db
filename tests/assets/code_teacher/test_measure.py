"""Bits per byte: the window rule by hand, and the shipped teacher against its own card."""

import re

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from limbeck.assets import asset_path
from limbeck.assets.code_teacher.measure import WINDOW, bits_per_byte, file_ids, windows
from limbeck.rows.standard_library import SourceFile, standard_library_files

# Short held-out files that are on every Python this package runs on; the card gives their figure.
FEW = ("colorsys.py", "tabnanny.py")
# Other Python versions ship other texts of these files.
TOLERANCE = 0.10


@pytest.fixture(scope="module")
def teacher():
    return AutoModelForCausalLM.from_pretrained(asset_path("code_teacher"))


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(asset_path("code_teacher"))


def test_windows_predict_every_token_after_the_first_exactly_once():
    ids = torch.arange(2 * WINDOW + 8)
    pieces = list(windows(ids))
    assert [len(piece) - 1 for piece in pieces] == [WINDOW, WINDOW, 7]
    assert torch.equal(torch.cat([piece[1:] for piece in pieces]), ids[1:])


def test_a_file_starts_with_end_of_text(tokenizer):
    assert file_ids(tokenizer, "import os\n")[0] == tokenizer.eos_token_id


def test_a_model_that_knows_nothing_pays_twelve_bits_per_token(teacher, tokenizer):
    # A head of zeros is uniform over 4,096 = 2^12 pieces: 12 bits per token, whatever the text.
    blank = AutoModelForCausalLM.from_config(teacher.config)
    with torch.no_grad():
        blank.get_output_embeddings().weight.zero_()
    text = "import os\nimport sys\n"
    n_tokens = len(file_ids(tokenizer, text)) - 1
    measured = bits_per_byte(blank, tokenizer, [SourceFile("x.py", text, False)])
    assert measured == pytest.approx(12 * n_tokens / len(text), rel=1e-5)


def test_the_shipped_teacher_is_as_good_as_its_card_says(teacher, tokenizer):
    card = (asset_path("code_teacher") / "README.md").read_text()
    stated = re.search(r"two short held-out files[^|]*\| ([0-9.]+)", card)
    assert stated
    files = [file for file in standard_library_files() if file.name in FEW]
    assert [file.heldout for file in files] == [True] * len(FEW)
    measured = bits_per_byte(teacher, tokenizer, files)
    assert measured == pytest.approx(float(stated[1]), rel=TOLERANCE)
