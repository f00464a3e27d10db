"""Dataset distillation by selection: few rows that stand for all, labelled with the teacher's distributions.

The integration of knowledge and dataset distillation that Fang et al. 2025, arXiv:2504.14772, describe:
select under a budget, let the teacher label what was selected, train. Selectors: k-center (Sener & Savarese
2018, arXiv:1708.00489), herding (Welling 2009), facility location (Wei et al. 2015), the farthest by edit
distance (Wu et al. 2025, arXiv:2508.09883), instruction-following difficulty (Li et al. 2024,
arXiv:2308.12032), and quotas of groups. Choices of ours:

- the budget counts tokens, in the teacher's tokenizer: with rows, selectors of long rows would win by reading
  more;
- the baseline reads random rows of the same budget, labelled alike, in equally many updates: random rows are
  hard to beat, and a report without them says nothing;
- one selection before the training; texts synthesised by matching gradients are not offered.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from limbeck.core.errors import ConfigError, Problem
from limbeck.recipes.comparison import BASELINE, COMPARED, Comparison, compared
from limbeck.recipes.inputs import Share, as_teacher, common_start
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Capture, Evaluate, Load, Step, Train
from limbeck.recipes.steps.select import FEATURES, Select, Selector
from limbeck.recipes.teachers import StoredTeacher
from limbeck.recipes.terms import Term

SelectorName = Literal[
    "k_center", "herding", "facility_location", "farthest", "ifd", "length_order", "quota", "random"
]


@compared(max_steps=500)
def dataset_distillation(
    common: Comparison,
    *,
    selector: SelectorName = "k_center",
    budget: Annotated[float, Field(gt=0)] = 0.1,
    unit: Literal["tokens", "rows"] = "tokens",
    encoder: str | None = None,
    groups: str | None = None,
    label: bool = True,
    kd_ratio: Share = 0.5,
) -> Recipe:
    """Select rows under a budget, let the teacher label them once, and train the student on these alone.

    loss = (1 - kd_ratio) * cross_entropy + kd_ratio * forward_kl against the stored labels. The baseline is
    the same student on random rows of the same budget, labelled alike, in as many updates.

    Args:
        selector: what chooses the rows.
        budget: of the training rows: a share below 1, or a number.
        unit: what the budget counts; tokens by the teacher's tokenizer.
        encoder: a model that embeds the rows, for k_center, herding and facility_location; null: by their
            words (TF-IDF). With ifd it scores the answers; null: the teacher does.
        groups: column of groups, for quota.
        label: let the teacher label the chosen rows with its distributions; false learns their texts alone.
        max_steps: updates of both trainings.
    """
    made, start = common_start(common.student, seed=common.seed)
    teacher = as_teacher(common.teacher)
    if len(teacher.models) != 1:
        raise ConfigError(
            Problem(
                "teacher",
                f"must be one model, which labels what is chosen, got {teacher.called}. Name its folder.",
            )
        )
    (reader,) = teacher.models.values()
    scored = encoder or (reader if selector == "ifd" else None)
    sides = {"chosen": selector} | ({"drawn": "random"} if common.baseline else {})
    steps: list[Step] = []
    for out, name in sides.items():
        reads = {field for feature in Selector(name=name).features for field in FEATURES[feature]}
        steps.append(
            Select(
                out=out,
                rows="rows.train",
                selector=Selector(name=name, options={"seed": common.seed} if name in _DRAWN else {}),
                budget=budget,
                unit=unit,
                tokenizer=reader if unit == "tokens" else None,
                model=scored if "model" in reads else None,
                groups=groups if "groups" in reads else None,
            )
        )
        if label:
            steps.append(
                Capture(out=f"{out}_labels", teacher=teacher, rows=out, max_length=common.max_length)
            )
    students = {"drawn": BASELINE, "chosen": "student"}
    steps += [_train(common, start, students[out], out, label, kd_ratio) for out in reversed(sides)]
    return Recipe(
        name="dataset_distillation",
        steps=(
            Load(out="rows", path=common.data, columns=dict(common.columns or {}), heldout=common.heldout),
            *made,
            *steps,
            Evaluate(
                model="student",
                teacher=teacher,
                baseline=BASELINE if common.baseline else None,
                rows="rows.heldout",
                metrics=COMPARED,
                max_length=common.max_length,
            ),
        ),
    )


def _train(common: Comparison, start: Any, out: str, rows: str, label: bool, kd_ratio: float) -> Train:
    terms = (
        Term(name="cross_entropy", weight=1 - kd_ratio if label else 1.0),
        Term(name="forward_kl", weight=kd_ratio if label else 0.0),
    )
    return Train(
        out=out,
        student=start,
        teacher=StoredTeacher(signals=f"{rows}_labels") if label and kd_ratio else None,
        rows=rows,
        objective=tuple(term for term in terms if term.weight),
        learning_rate=common.learning_rate,
        num_train_epochs=common.num_train_epochs,
        max_steps=common.max_steps,
        per_device_train_batch_size=common.per_device_train_batch_size,
        max_length=common.max_length,
        weight_decay=0.01,
        seed=common.seed,
    )


_DRAWN = ("random", "quota")
