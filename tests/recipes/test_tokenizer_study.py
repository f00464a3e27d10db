"""Students with another tokenizer, and one that reads bytes, learn from the shipped teacher.

Minutes; run by `make studies`.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import mean

import pytest
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

import limbeck
from limbeck.recipes.alignment import Alignment
from limbeck.recipes.model import Recipe
from limbeck.recipes.quickstart import MEASURED, ROW_TOKENS, SIZES, TEACHER
from limbeck.recipes.steps import Build, Evaluate, Load, Train
from limbeck.recipes.students import FreshStudent, ModelStudent, Student
from limbeck.recipes.teachers import ModelTeacher
from limbeck.recipes.terms import Term, Trainable
from limbeck.rows.standard_library import standard_library_files

FILES = 300
PIECES = 2000
SEEDS = (0, 1, 2)
CE = Term(name="cross_entropy")
ALM = Term(name="alm")
EVERY_CHUNK = Alignment(threshold=0.0, debias=False)
METHODS: Mapping[str, tuple[tuple[Term, ...], dict[str, object]]] = {
    "sft": ((CE,), {}),
    "alm": ((ALM,), {}),
    "alm_sft": ((Term(name="alm", options={"distance": "limit"}), CE), {"alignment": EVERY_CHUNK}),
    "uld": (
        (CE.model_copy(update={"weight": 0.5}), Term(name="uld", weight=0.5, on="aligned")),
        {"alignment": Alignment(pair="order")},
    ),
    "min_edit": (
        (
            Term(name="cross_entropy", weight=0.5, on="unaligned"),
            Term(name="forward_kl", weight=0.5, on="aligned"),
        ),
        {"alignment": Alignment(map="min_edit")},
    ),
    "dskd": (
        (
            CE.model_copy(update={"weight": 0.5}),
            Term(
                name="dual_space",
                weight=0.5,
                trainable=Trainable(module="projectors"),
                options={"temperature": 2.0},
            ),
        ),
        {"packing": False},
    ),
}


def sentencepiece(folder: Path) -> Path:
    """A tokenizer of another family than the teacher's: BPE over words with ▁, and bytes for the rest."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("▁+|\\n+"), "merged_with_next")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=PIECES, special_tokens=special, show_progress=False)
    texts = (file.text for file in standard_library_files()[:FILES])
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="</s>"
    )
    fast.save_pretrained(folder)
    return folder


def recipe(student: Student, names: Iterable[str], seed: int, **settings: object) -> Recipe:
    teacher = ModelTeacher(model=TEACHER)
    length = settings["max_length"]
    return Recipe(
        name="tokenizer_study",
        steps=(
            Load(out="rows", path="standard_library", limit=FILES),
            Build(out="start", student=student, seed=seed),
            *(
                Train(
                    out=name,
                    student=ModelStudent(model="start"),
                    teacher=None if name == "sft" else teacher,
                    rows="rows.train",
                    objective=METHODS[name][0],
                    warmup_ratio=0.2,
                    seed=seed,
                    **{**settings, **METHODS[name][1]},  # type: ignore[arg-type]
                )
                for name in names
            ),
            *(
                Evaluate(
                    out=f"{name}_measured",
                    model=name,
                    rows="rows.heldout",
                    metrics=("perplexity",),
                    max_length=length,  # type: ignore[arg-type]
                    max_positions=MEASURED,
                )
                for name in ("start", *names)
            ),
        ),
    )


def bits(run: limbeck.Run, name: str) -> float:
    (written,) = run.folder.glob(f"steps/*-{name}_measured/evaluation.json")
    metrics = json.loads(written.read_text())["metrics"]
    return float(metrics["perplexity"]["subjects"]["student"]["bits_per_byte"]["value"])


def measured(
    folder: Path, student: Student, names: tuple[str, ...], **settings: object
) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for seed in SEEDS:
        run = limbeck.run(recipe(student, names, seed, **settings), out=folder / str(seed))
        for name in ("start", *names):
            found.setdefault(name, []).append(bits(run, name))
    for name, values in found.items():
        print(f"{name:10} " + " ".join(f"{value:.4f}" for value in values))
    return found


@pytest.mark.study
def test_a_new_student_with_another_tokenizer_learns_from_the_teacher(tmp_path: Path) -> None:
    student = FreshStudent(fresh=TEACHER, sizes=SIZES, tokenizer=str(sentencepiece(tmp_path / "tokenizer")))
    found = measured(
        tmp_path,
        student,
        tuple(METHODS),
        max_steps=1000,
        learning_rate=1e-3,
        per_device_train_batch_size=1,
        max_length=ROW_TOKENS,
    )
    assert mean(found["min_edit"]) < mean(found["sft"])
    assert mean(found["alm_sft"]) < mean(found["sft"])


@pytest.mark.study
def test_the_teacher_moves_to_another_tokenizer(tmp_path: Path) -> None:
    student = ModelStudent(model=TEACHER, tokenizer=str(sentencepiece(tmp_path / "tokenizer")))
    found = measured(
        tmp_path,
        student,
        ("sft", "alm", "alm_sft", "min_edit"),
        max_steps=300,
        learning_rate=1e-3,
        per_device_train_batch_size=2,
        max_length=ROW_TOKENS,
    )
    # No better than learning from the data (docs/log.md); the teacher alone, without labels, does move it.
    assert mean(found["alm"]) < mean(found["start"])


@pytest.mark.study
def test_the_teacher_moves_to_bytes(tmp_path: Path) -> None:
    found = measured(
        tmp_path,
        ModelStudent(model=TEACHER, tokenizer="bytes"),
        ("sft", "alm", "alm_sft"),
        max_steps=200,
        learning_rate=1e-3,
        per_device_train_batch_size=1,
        max_length=512,
    )
    # No better than learning from the data (docs/log.md); the teacher alone, without labels, does move it.
    assert mean(found["alm"]) < mean(found["start"])
