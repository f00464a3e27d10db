"""Inputs and outputs of a task that was made."""

from collections.abc import Sequence
from typing import Any

from limbeck.core.asking import Ask
from limbeck.core.lineage import ID, PARENTS, Row, rejected, with_lineage
from limbeck.core.prompting import Drawing, Prompt
from limbeck.operators.talk import Talk, settled, turned_down

Instance = tuple[str, str]


async def instances_of(
    row: Row, ask: Ask, prompts: tuple[Prompt, Prompt, Prompt], operator: str, max_tokens: int
) -> list[dict[str, Any]]:
    """Rows of a task: whether it is a classification is asked first, then its instances.

    Args:
        row: the task, with its lineage.
        ask: the teacher.
        prompts: for the classification, for inputs first, for labels first.
        operator: that makes the rows.
        max_tokens: of an answer with instances.

    Returns:
        A row an instance; rejected ones for those that were filtered out, or for the task if there are none.
    """
    talk = Talk(ask)
    (found,) = await settled([_found(row, talk, prompts, max_tokens)])

    def lineage(made: Row, name: str) -> dict[str, Any]:
        parents = [*row[PARENTS], row[ID]]
        return with_lineage(made, row_id=name, parents=parents, operator=operator, asked=talk.asked)

    if not isinstance(found, tuple):
        return [turned_down(lineage({"prompt": row["prompt"]}, row[ID]), operator, found, talk)]
    kind, instances = found
    if not talk.asked[-1][1].stopped:
        instances = instances[:-1]  # the last one was cut
    kept, refused = _filtered(instances)
    reason = _contradiction(kept)
    made = []
    for place, (said, answer) in enumerate(dict.fromkeys(kept)):
        prompt = f"{row['prompt']}\n\n{said}" if said else row["prompt"]
        one = lineage(
            {"prompt": prompt, "completion": answer, "is_classification": kind}, f"{row[ID]}.{place}"
        )
        made.append(rejected(one, operator, *reason) if reason else one)
    for place, (said, answer, why) in enumerate(refused, len(made)):
        one = lineage({"prompt": f"{row['prompt']}\n\n{said}".strip()}, f"{row[ID]}.{place}")
        made.append(rejected(one, operator, *why, reply=answer))
    if not made:
        one = lineage({"prompt": row["prompt"]}, row[ID])
        made.append(rejected(one, operator, "no_instances", "the only instance was cut"))
    return made


async def _found(
    row: Row, talk: Talk, prompts: tuple[Prompt, Prompt, Prompt], max_tokens: int
) -> tuple[bool, list[Instance]]:
    values = {"instruction": row["prompt"]}
    verdict = await talk.read(prompts[0], {}, Drawing(8, 0.0), values=values)
    prompt = prompts[2] if verdict["yes"] else prompts[1]
    found = await talk.read(prompt, {}, Drawing(max_tokens, 0.0), values=values)
    return bool(verdict["yes"]), list(found["instances"])


def _filtered(instances: Sequence[Instance]) -> tuple[list[Instance], list[tuple[str, str, tuple[str, str]]]]:
    kept, refused = [], []
    for said, answer in instances:
        if said == answer:
            refused.append((said, answer, ("output_is_input", "output and input are the same")))
        elif not answer:
            refused.append((said, answer, ("no_output", "there is no output")))
        elif said.endswith(":") or answer.endswith(":"):
            refused.append((said, answer, ("unfinished", "input or output ends with a colon")))
        else:
            kept.append((said, answer))
    return kept, refused


def _contradiction(instances: Sequence[Instance]) -> tuple[str, str] | None:
    """The official code drops all instances of a task that answers one input in two ways."""
    outputs: dict[str, str] = {}
    for said, answer in instances:
        if said and outputs.setdefault(said, answer) != answer:
            return "contradiction", f"the input {said!r:.60} has two outputs"
    return None
