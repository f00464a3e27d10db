"""universal_ner with and without absent types, on texts that people tagged: a small student, several seeds.

    python benchmarks/entities.py --out FOLDER --data FILE FILE --new FILE [--seeds 0 1 2]

The tags are a teacher whose answers are known. Students are fresh, with a tokenizer of the training texts;
they learn the rows of `--data` whose column `split` is not test, and are measured on the others and on
those of `--new`, a domain that neither has seen, asked for every type of either exam. Prints a
table and writes it with all numbers into the folder; finished seeds are reused.
"""

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from datasets import Dataset, concatenate_datasets
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

import limbeck
from limbeck.core.files import write_json, write_text
from limbeck.core.models import save_model
from limbeck.recipes import Recipe, universal_ner

CHAT = (
    "{% for turn in messages %}<{{ turn.role }}>{% if turn.role == 'assistant' %}{% generation %}"
    "{{ turn.content }}</s>{% endgeneration %}{% else %}{{ turn.content }}{% endif %}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
MEASURED = ("entity_f1", "entity_precision", "entity_recall", "entity_f1_released", "invented")
EXAMS = {"tested": "texts like those that were learnt", "new": "another domain"}
SUBJECTS = {"student": "with absent types", "baseline": "without"}


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", nargs="+", required=True)
    parser.add_argument("--new", required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--questions", type=int, default=384)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    learnt, tested = _split(given.data)
    files = {"learnt": learnt, "tested": tested, "new": Dataset.from_parquet(given.new)}
    for name, rows in files.items():
        rows.select_columns(["tokens", "ner_tags"]).to_json(given.out / f"{name}.jsonl")
    _student(learnt, given.out / "student")
    found = [_measured(given.out, seed, given.steps, given.questions) for seed in given.seeds]
    table = _table(found)
    write_json(given.out / "entities.json", {"seeds": found})
    write_text(given.out / "entities.md", table)
    print(table)


def _split(paths: Sequence[str]) -> tuple[Dataset, Dataset]:
    rows = concatenate_datasets([Dataset.from_parquet(path) for path in paths])
    is_test = [one == "test" for one in rows["split"]]
    return tuple(
        rows.select([place for place, test in enumerate(is_test) if test == wanted])
        for wanted in (False, True)
    )


def _student(rows: Dataset, folder: Path) -> None:
    """A Llama of 0.5 million weights, and byte-level BPE of the training texts."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.decoder = decoders.ByteLevel()
    roles = [f"<{name}>" for name in ("system", "user", "assistant")]
    special = ["<pad>", "</s>", *roles]
    trainer = trainers.BpeTrainer(vocab_size=2048, special_tokens=special, show_progress=False)
    texts = [" ".join(tokens) for tokens in rows["tokens"]]
    trained.train_from_iterator([*texts, 'What describes the text? ["", ""]'] * 2, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=trained, eos_token="</s>", pad_token="<pad>", additional_special_tokens=roles
    )
    tokenizer.chat_template = CHAT
    config = LlamaConfig(
        vocab_size=2048, hidden_size=96, intermediate_size=256, num_hidden_layers=3, num_attention_heads=4,
        max_position_embeddings=1024, tie_word_embeddings=True, pad_token_id=0, bos_token_id=None,
        eos_token_id=1,
    )  # fmt: skip
    save_model(LlamaForCausalLM(config), tokenizer, folder)


def _measured(folder: Path, seed: int, steps: int, questions: int) -> dict[str, Any]:
    """Exam -> subject -> measure of one seed."""
    run = folder / f"seed{seed}"
    if not (run / "evaluation.json").exists():
        limbeck.run(_recipe(folder, seed, steps, questions), run)
    steps_done = {
        name: json.loads(next(run.glob(f"steps/*-{name}/evaluation.json")).read_text()) for name in EXAMS
    }
    return {
        exam: {name: one["metrics"]["entities"]["subjects"][name] for name in SUBJECTS}
        for exam, one in steps_done.items()
    }


def _recipe(folder: Path, seed: int, steps: int, questions: int) -> Recipe:
    """The recipe, with its evaluation once for each exam."""
    made = universal_ner(
        teacher=str(folder / "student"),  # is not asked
        student={"fresh": str(folder / "student")},
        data=str(folder / "learnt.jsonl"),
        labels="own",
        exam=str(folder / "tested.jsonl"),
        heldout=8,
        learning_rate=3e-3,
        max_steps=steps,
        per_device_train_batch_size=4,
        max_new_tokens=48,
        questions=questions,
        max_length=512,
        seed=seed,
    ).to_data()
    *making, measure = made["steps"]
    own = {"name": "extract_entities", "labels": "own", "negatives": "all"}
    asked = {
        "out": "new_unseen",
        "teacher": str(folder / "student"),
        "rows": "new_rows.train",
        "operator": own,
    }
    evaluated = {**measure["evaluate"], "metrics": ["entities"]}
    made["steps"] = [
        *making,
        {"load": {"out": "new_rows", "path": str(folder / "new.jsonl"), "heldout": 0}},
        {"elicit": asked},
        {"evaluate": {**evaluated, "out": "tested"}},
        {"evaluate": {**evaluated, "out": "new", "rows": "new_unseen"}},
    ]
    return Recipe.from_data(made)


def _table(found: Sequence[Mapping[str, Any]]) -> str:
    lines = ["| | student | " + " | ".join(MEASURED) + " |", "|---" * (len(MEASURED) + 2) + "|"]
    for exam, title in EXAMS.items():
        for name, said in SUBJECTS.items():
            cells = [_cell([one[exam][name][measure]["value"] for one in found]) for measure in MEASURED]
            lines.append(f"| {title} | {said} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(values: Sequence[float | None]) -> str:
    numbers = [100 * one for one in values if one is not None]
    if not numbers:
        return "none"
    spread = f" ± {stdev(numbers):.1f}" if len(numbers) > 1 else ""
    return f"{mean(numbers):.1f}{spread}"


if __name__ == "__main__":
    main()
