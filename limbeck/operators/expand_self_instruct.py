"""New tasks from a pool of tasks, and instances of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any

from pydantic import Field

from limbeck.core.asking import Ask
from limbeck.core.errors import ConfigError, LimbeckError, Problem
from limbeck.core.lineage import ID, Row, rejected, with_lineage
from limbeck.core.overlap import rouge_l, words_of
from limbeck.core.prompting import Drawing, Fills, ParseFailed, Prompt, load_prompt
from limbeck.core.prompting.own import own_text
from limbeck.core.seeds import generator
from limbeck.operators.talk import Talk, settled, turned_down
from limbeck.operators.task_filters import unfit_for_text
from limbeck.operators.task_instances import instances_of

NAME = "expand_self_instruct"


@dataclass
class _Pool:
    """Tasks by text, with the words that new ones are compared by."""

    seeds: list[Row]
    made: list[dict[str, Any]] = field(default_factory=list)
    words: list[list[str]] = field(default_factory=list)
    shown: Counter[tuple[str, ...]] = field(default_factory=Counter)

    def nearest(self, words: list[str]) -> float:
        """The highest overlap with a task of the pool."""
        return max((rouge_l(words, one) for one in self.words), default=0.0)

    def times(self, texts: Sequence[str]) -> int:
        """How often these tasks were shown before, in this order: a small pool repeats itself."""
        self.shown[tuple(texts)] += 1
        return self.shown[tuple(texts)] - 1


async def expand_self_instruct(
    rows: Sequence[Row],
    ask: Ask,
    *,
    target: Annotated[int, Field(ge=1)] = 100,
    prompt: Annotated[str, Fills(("tasks",), ("items",))] = "self_instruct",
    classify_prompt: Annotated[str, Fills(("instruction",), ("yes",))] = "self_instruct_classify",
    input_first_prompt: Annotated[str, Fills(("instruction",), ("instances",))] = "self_instruct_input_first",
    label_first_prompt: Annotated[str, Fills(("instruction",), ("instances",))] = "self_instruct_label_first",
    instances: bool = True,
    in_context: Annotated[int, Field(ge=1)] = 8,
    from_made: Annotated[int, Field(ge=0)] = 2,
    requests_per_round: Annotated[int, Field(ge=1)] = 5,
    most_requests: Annotated[int, Field(ge=1)] | None = None,
    novelty: Annotated[float, Field(ge=0, le=1)] = 0.7,
    max_new_tokens: Annotated[int, Field(ge=1)] = 1024,
    instance_max_new_tokens: Annotated[int, Field(ge=1)] = 350,
    sampling_temperature: Annotated[float, Field(ge=0)] = 0.7,
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.5,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """The teacher thinks of tasks unlike those it is shown, and then of inputs and outputs for them.

    Rounds of several requests: each shows some tasks of the pool, a few of them made before, and asks for
    more; what passes the filters and is new to the pool joins it, in order. Then every new task is said to
    be a classification or not, and gets instances: label first where it is, input first where not.

    Args:
        target: tasks to make: rounds end when there are as many; fewer where `most_requests` comes first.
        prompt: a prompt file for new tasks; its templates have `tasks`, those that are shown.
        classify_prompt: a prompt file that asks whether `instruction` is a classification.
        input_first_prompt: a prompt file for instances of `instruction`.
        label_first_prompt: the same for classifications.
        instances: make them; without, the rows have a prompt alone, for `answer`.
        in_context: tasks that are shown.
        from_made: of these, tasks made before, as far as there are some.
        requests_per_round: asked at once, before the pool grows.
        most_requests: for tasks at most; none: 4 for each of `target`, but at least 20.
        novelty: highest ROUGE-L to any task of the pool that a new one may have.
        max_new_tokens: of an answer with tasks.
        instance_max_new_tokens: of an answer with instances.
        sampling_temperature: of tasks; classification and instances are greedy.
        top_p: of sampling tasks.
        seed: of the tasks that are shown.

    Returns:
        A row for each instance: the task with its input below as prompt, the output as completion. Tasks and
        instances that were filtered out are rejected rows with the reason.

    Raises:
        ConfigError: fewer rows than are to be shown.

    Source:
        Wang et al. 2022, arXiv:2212.10560; yizhongw/self-instruct, `self_instruct/*.py`: 8 tasks of which 2
        are made ones, temperature 0.7, top-p 0.5, ROUGE-L 0.7, its filters, classification first.
        Differences: the presence penalty of 2 is left to the teacher's settings; requests have a limit;
        letters behind the first keep their case; instances of classifications are filtered like the others.
    """
    pool = _Pool(list(rows), words=[words_of(own_text(row)) for row in rows])
    if len(rows) < in_context:
        said = f"must be at most the number of rows ({len(rows)}), got {in_context}. Add rows or show fewer."
        raise ConfigError(Problem("in_context", said))
    known = load_prompt(prompt)
    drawing = Drawing(max_new_tokens, sampling_temperature, top_p, seed)
    refused: list[dict[str, Any]] = []
    most = most_requests or max(4 * target, 20)
    for start in range(0, most, requests_per_round):
        places = range(start, min(start + requests_per_round, most))
        shown = [_shown(pool, place, in_context, from_made, seed) for place in places]
        refused += await _round(pool, dict(zip(places, shown, strict=True)), ask, known, drawing, novelty)
        if len(pool.made) >= target:
            break
    if not instances:
        return [*pool.made, *refused]
    prompts = load_prompt(classify_prompt), load_prompt(input_first_prompt), load_prompt(label_first_prompt)
    made = await settled(
        [instances_of(row, ask, prompts, NAME, instance_max_new_tokens) for row in pool.made]
    )
    return [one for found in made for one in found] + refused


async def _round(
    pool: _Pool,
    shown: Mapping[int, Sequence[tuple[str, str]]],
    ask: Ask,
    prompt: Prompt,
    drawing: Drawing,
    novelty: float,
) -> list[dict[str, Any]]:
    """Ask for tasks, let those join that may, in order, and give back the others."""
    talks = [Talk(ask) for _ in shown]
    found = await settled(
        [
            talk.read(prompt, {}, drawing, values={"tasks": texts}, sample=pool.times(texts))
            for talk, texts in zip(talks, ([text for _, text in one] for one in shown.values()), strict=True)
        ]
    )
    refused: list[dict[str, Any]] = []
    for talk, (place, tasks), items in zip(talks, shown.items(), found, strict=True):
        parents = [row_id for row_id, _ in tasks]
        lineage = partial(with_lineage, parents=parents, operator=NAME, asked=talk.asked)
        error = items if isinstance(items, LimbeckError) else _cut(talk)
        if error is not None:
            refused.append(turned_down(lineage({}, row_id=f"task{place}"), NAME, error, talk))
            continue
        for number, text in enumerate(items["items"]):
            row = lineage({"prompt": text}, row_id=f"task{place}.{number}")
            reason = unfit_for_text(text) or _known(pool, text, novelty)
            if reason:
                refused.append(rejected(row, NAME, *reason))
                continue
            pool.made.append(row)
            pool.words.append(words_of(text))
    return refused


def _cut(talk: Talk) -> ParseFailed | None:
    """The official code drops all tasks of an answer that was cut."""
    return None if talk.asked[-1][1].stopped else ParseFailed("length", "the answer was cut")


def _known(pool: _Pool, text: str, novelty: float) -> tuple[str, str] | None:
    overlap = pool.nearest(words_of(text))
    return ("not_new", f"ROUGE-L {overlap:.3f} to a task of the pool") if overlap > novelty else None


def _shown(pool: _Pool, place: int, in_context: int, from_made: int, seed: int) -> list[tuple[str, str]]:
    """Ids and texts of the tasks that a request shows."""
    draw = generator(seed, NAME, place)
    few = min(from_made, len(pool.made), in_context)
    chosen = [pool.made[one] for one in draw.permutation(len(pool.made))[:few]]
    chosen += [pool.seeds[one] for one in draw.permutation(len(pool.seeds))[: in_context - few]]
    ordered = [chosen[one] for one in draw.permutation(len(chosen))]
    return [(str(row[ID]), " ".join(own_text(row).split()).rstrip(":")) for row in ordered]
