"""Instructions that an aligned model writes by itself, when it reads the beginning of a user's turn."""

from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any

from pydantic import Field

from limbeck.core.asking import Ask, Request
from limbeck.core.errors import ConfigError, Problem
from limbeck.core.lineage import ID, Row
from limbeck.core.prompting import Drawing, Fills, ParseFailed, load_prompt
from limbeck.core.prompting.own import carried
from limbeck.core.prompting.pre_query import PreQuery, pre_query
from limbeck.operators.talk import Talk, Unfit, made, seed_of_row


async def magpie(
    row: Row,
    ask: Ask,
    *,
    tokenizer: str | None = None,
    begin: str | None = None,
    stop: list[str] | None = None,
    samples: Annotated[int, Field(ge=1, le=1000)] = 200,
    one_line: bool = True,
    answers: bool = True,
    answer_prompt: Annotated[str, Fills((), ("answer",))] = "plain",
    max_new_tokens: Annotated[int, Field(ge=1)] = 2048,
    answer_max_new_tokens: Annotated[int, Field(ge=1)] = 4096,
    sampling_temperature: Annotated[float, Field(gt=0)] = 1.0,
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0,
    answer_sampling_temperature: Annotated[float, Field(ge=0)] = 0.0,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """The teacher reads its chat template up to where a user speaks, goes on as the user, and then answers.

    The row says only what steers it: its system prompt, if it has one, is that of both calls
    (a mathematician's, a translator's ...), and other columns are carried on. The endpoint must continue
    plain text (completions, not chat alone).

    Args:
        tokenizer: folder or id of the teacher's tokenizer, whose chat template says what stands before a
            user's words.
        begin: that text itself, where there is no tokenizer at hand. One of the two is needed.
        stop: strings that end an instruction; none: the mark that ends a user's turn, and `assistant`.
        samples: instructions for each row.
        one_line: an instruction also ends at a line break, behind which models often answer themselves.
        answers: ask for them; without, the rows have a prompt alone, for `answer`.
        answer_prompt: a prompt file for the answers.
        max_new_tokens: of an instruction.
        answer_max_new_tokens: of an answer.
        sampling_temperature: of instructions.
        top_p: of sampling them.
        answer_sampling_temperature: of answers; 0: greedy.
        seed: of the draws, with the row's id: rows with one system prompt draw different instructions.

    Returns:
        A row a sample: the instruction and its answer; rejected where it is empty, cut, or has a mark of the
        template in it (`marks`).

    Raises:
        ConfigError: neither or both of tokenizer and begin are given.
        ModelError: the tokenizer has no chat template that could be used.

    Source:
        Xu et al. 2024, arXiv:2406.08464; magpie-align/magpie, `exp/gen_ins.py`: 200 samples a call,
        temperature 1, top-p 1, early stop at a line break; answers greedy. Its tags of quality and
        difficulty are gates here.
    """
    if (tokenizer is None) == (begin is None):
        said = "must be given, or begin, and not both, got " + ("neither." if begin is None else "both.")
        raise ConfigError(Problem("tokenizer", said))
    system = _system(row)
    edges = PreQuery(begin, ()) if begin is not None else _edges(str(tokenizer), system)
    marks = tuple(stop) if stop is not None else (*edges.ends, "assistant")
    answering = load_prompt(answer_prompt)
    drawing = Drawing(answer_max_new_tokens, answer_sampling_temperature)

    async def draw(talk: Talk, sample: int) -> Sequence[dict[str, Any]]:
        reply = await talk.one(
            Request(
                text=edges.text,
                stop=(*marks, "\n") if one_line else marks,
                sample=sample,
                max_tokens=max_new_tokens,
                temperature=sampling_temperature,
                top_p=top_p,
                seed=seed_of_row(seed, row),
            )
        )
        instruction = reply.text.strip()
        if not instruction:
            raise ParseFailed("empty", "the user says nothing")
        if not reply.stopped:
            raise Unfit("length", f"the instruction was cut at {max_new_tokens} tokens")
        if "<|" in instruction or any(mark in instruction for mark in edges.ends):
            raise Unfit("marks", "the instruction has a mark of the chat template in it")
        turns = [{"role": "system", "content": system}] if system else []
        asked: Any = [*turns, {"role": "user", "content": instruction}] if system else instruction
        new = {**carried(row), "prompt": asked}
        if not answers:
            return [new]
        found = await talk.read(answering, new, drawing)
        return [answering.learnt(new, str(found["answer"]))]

    steering = {**carried(row), ID: row[ID]}  # what the row asks is not asked here
    return await made(steering, ask, draw, operator="magpie", samples=samples, tag="magpie")


def _system(row: Row) -> str | None:
    """The row's system prompt, in a column of its own or in its turns."""
    turns: list[Any] = next(
        (row[name] for name in ("messages", "prompt") if isinstance(row.get(name), list)), []
    )
    told = [turn["content"] for turn in turns if turn["role"] == "system"]
    return row.get("system") or (str(told[0]) if told else None)


@cache
def _edges(tokenizer: str, system: str | None) -> PreQuery:
    from transformers import AutoTokenizer

    return pre_query(AutoTokenizer.from_pretrained(tokenizer), system)
