"""REDI: learn the right traces, then push the wrong ones down, a little less than the right ones up.

Xu et al. 2025, arXiv:2505.24850; Tim-Siu/reinforcement-distillation, `trl/trl/trainer/dpo2_trainer.py`,
loss type "reinforce". Two stages. Cross-entropy with the right trace of every question; then on pairs
-log p(right) / |right| + alpha * log p(wrong) / |wrong|, a mean over pairs, without a reference model: two
cross-entropies with means over sequences. With a teacher, rows are questions with their answers: it reasons
several times about each, a gate tells right traces from wrong ones, and a question with both gives a pair.
Without, rows are `prompt` + `chosen` + `rejected`, or `question` + `solutions` + `verdicts`, of which the
first right and the first wrong solution are taken. Defaults: alpha 0.8; first stage 5e-5, 3 epochs, batch
128; second 1e-6, 1 epoch, batch 32; both 10 % warm-up, linear decay, weight decay 1e-4. Departures:

- without a teacher the first stage learns the right traces of the pairs alone; with one, as in the paper,
  also those of questions that it never got wrong, and here all right traces of a question;
- a trace that is cut before its answer is a wrong one, whose end is not learnt; thoughts that a server tells
  apart from its answers are in no trace;
- rows are at most 2,048 tokens long, there 32,768.

The second stage has no lower bound. With alpha 1 or a learning rate that is too high, right and wrong
traces become unlikely together: watch `cross_entropy_chosen` in metrics.jsonl, and stop when it rises.
"""

from typing import Annotated, Any

from pydantic import Field

from limbeck.core.training import Rate
from limbeck.recipes.calls import GateCall
from limbeck.recipes.data import Data
from limbeck.recipes.inputs import ROWS, Columns, StudentLike, TeacherLike, as_teacher
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Elicit, Evaluate, Load, Pair, Step, Train
from limbeck.recipes.students import ModelStudent, Student
from limbeck.recipes.terms import Term


def redi(
    *,
    student: StudentLike,
    data: Data,
    teacher: TeacherLike | None = None,
    prompt: str = "chain_of_thought",
    gate: GateCall | str = "math_equal",
    samples: Annotated[int, Field(ge=2)] = 4,
    sampling_temperature: Annotated[float, Field(gt=0)] = 0.7,
    elicited_tokens: Annotated[int, Field(ge=1)] = 1024,
    alpha: Annotated[float, Field(ge=0, le=1)] = 0.8,
    columns: Columns | None = None,
    heldout: float = 0.05,
    baseline: bool = True,
    learning_rate: Rate = 5e-5,
    num_train_epochs: float = 3.0,
    pairs_learning_rate: float = 1e-6,
    pairs_epochs: float = 1.0,
    max_steps: int = -1,
    per_device_train_batch_size: int = 8,
    gradient_accumulation_steps: int = 16,
    pairs_gradient_accumulation_steps: int = 4,
    max_length: int = 2048,
    max_new_tokens: Annotated[int, Field(ge=1)] = 512,
    seed: int = 0,
) -> Recipe:
    """Cross-entropy with right traces; then right ones up and wrong ones down, by their mean token.

    The baseline takes the second stage with the right traces alone (alpha = 0): in as many steps, from the
    same first stage. `limbeck.objectives.preference` has the losses on pairs that the paper compares with.

    With a teacher, held-out questions are answered greedily and judged by their final answers.

    Args:
        teacher: who writes the traces: an endpoint or a model; none: the rows have them.
        prompt: a prompt file that asks for reasons and an answer.
        gate: that tells right traces by the answers of the data, which are in the column `reference`.
        samples: traces of each question.
        sampling_temperature: that they are drawn at.
        elicited_tokens: of a trace.
        max_new_tokens: of an answer when measuring, with a teacher.
        alpha: weight of the wrong traces, which are pushed down.
        learning_rate: of the first stage, on right traces.
        num_train_epochs: passes over the rows in the first stage.
        pairs_learning_rate: of the second stage, on pairs.
        pairs_epochs: passes over the rows in the second stage.
        gradient_accumulation_steps: batches an optimizer step of the first stage.
        pairs_gradient_accumulation_steps: batches an optimizer step of the second stage.
    """
    start = student if isinstance(student, Student) else Student.model_validate(student)

    def train(out: str, origin: Student, objective: tuple[Term, ...], **fields: Any) -> Step:
        settings = {
            "learning_rate": learning_rate,
            "num_train_epochs": num_train_epochs,
            "gradient_accumulation_steps": gradient_accumulation_steps,
        }
        return Train.model_validate(
            {
                "out": out,
                "student": origin,
                "rows": ROWS if teacher is None else "traces",
                "objective": objective,
                "lr_scheduler_type": "linear",
                "warmup_ratio": 0.1,
                "weight_decay": 1e-4,
                "max_steps": max_steps,
                "per_device_train_batch_size": per_device_train_batch_size,
                "max_length": max_length,
                "packing": False,  # a step is a number of rows, not of packs
                "seed": seed,
                **settings,
                **fields,
            }
        )

    pairs: dict[str, Any] = {
        "rows": ROWS if teacher is None else "pairs",
        "task": "preference",
        "learning_rate": pairs_learning_rate,
        "num_train_epochs": pairs_epochs,
        "gradient_accumulation_steps": pairs_gradient_accumulation_steps,
    }
    right = Term(name="cross_entropy", on="chosen", mean="sequence")
    wrong = Term(name="cross_entropy", on="rejected", mean="sequence", weight=-alpha)
    first = ModelStudent(model="right")
    made: tuple[Step, ...] = ()
    measured: dict[str, Any] = {"metrics": ("perplexity", "calibration", "generation", "speed")}
    if teacher is not None:
        draw = {
            "prompt": prompt,
            "sampling_temperature": sampling_temperature,
            "max_new_tokens": elicited_tokens,
        }
        made = _verified(teacher, draw, gate, samples, seed)
        measured = {"metrics": ("generation", "speed"), "task": "final_answer", "prompts": 256}
        measured["max_new_tokens"] = max_new_tokens
    return Recipe(
        name="redi",
        steps=(
            Load(out="rows", path=data, columns=dict(columns or {}), heldout=heldout),
            *made,
            train("right", start, (Term(name="cross_entropy"),)),
            *((train("right_only", first, (right,), **pairs),) if baseline else ()),
            train("student", first, tuple(term for term in (right, wrong) if term.weight), **pairs),
            Evaluate(
                model="student",
                baseline="right_only" if baseline else None,
                rows="rows.heldout",
                max_length=max_length,
                **measured,
            ),
        ),
    )


def _verified(
    teacher: TeacherLike, draw: dict[str, Any], gate: GateCall | str, samples: int, seed: int
) -> tuple[Step, ...]:
    """Several traces of each question, and pairs of those that the gate lets through and those it refuses."""
    traces = Elicit.model_validate(
        {
            "out": "traces",
            "teacher": as_teacher(teacher),
            "rows": ROWS,
            "operator": {"name": "rationalise", "learn": "reasoning", **draw},
            "samples": samples,
            "gates": (gate,),
            "seed": seed,
        }
    )
    return traces, Pair(out="pairs", rows="traces", against="traces.rejected", seed=seed)
