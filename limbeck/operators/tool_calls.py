"""Traces of a teacher that calls functions."""

import asyncio
import json
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field

from limbeck.core.asking import Ask, Reply, ToolCall
from limbeck.core.lineage import REFERENCE, Row
from limbeck.core.prompting import Drawing, Fills, ParseFailed, load_prompt
from limbeck.core.prompting.own import carried, given, own_answer, own_turns
from limbeck.operators.local_tools import Function, called, load_function, schema_of
from limbeck.operators.talk import Talk, Unfit, draws, made


async def tool_calls(
    row: Row,
    ask: Ask,
    *,
    functions: list[str],
    prompt: Annotated[str, Fills()] = "plain",
    rounds: Annotated[int, Field(ge=1)] = 8,
    seconds: Annotated[float, Field(gt=0)] = 10.0,
    samples: Annotated[int, Field(ge=1, le=1000)] = 1,
    max_new_tokens: Annotated[int, Field(ge=1)] = 1024,
    sampling_temperature: Annotated[float, Field(ge=0)] = 0.0,
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0,
    seed: int | None = None,
) -> list[dict[str, Any]]:
    """The teacher answers with the help of functions of yours: it calls, reads what they give, and goes on.

    The functions run in this process and are trusted. They are called again when a killed run goes on, so
    they must give the same for the same arguments: then nothing is asked twice.

    Args:
        functions: `module:function` each; type hints and docstring say what the teacher reads about it.
        prompt: a prompt file for the question.
        rounds: answers of the teacher at most, the last among them.
        seconds: that one call of a function may take; longer is an error that the teacher reads.
        samples: traces for each row.
        max_new_tokens: of an answer.
        sampling_temperature: 0: greedy.
        top_p: of sampling.
        seed: of the draws, where the teacher knows seeds.

    Returns:
        A row a trace, with the column `tools`: the teacher's turns are learnt, its thoughts among them;
        what functions gave is read alone. `tool_errors` counts calls that failed. Rejected where `rounds`
        are not enough (`rounds`), an answer was cut or says nothing.

    Raises:
        ConfigError: a function cannot be found or described.

    Source:
        Yao et al. 2022 (ReAct), arXiv:2210.03629, in the form of tool calls; as training data Chen et al.
        2023 (FireAct), arXiv:2310.05915, and Qin et al. 2023 (ToolLLM), arXiv:2307.16789.
    """
    draws(samples, sampling_temperature)
    known = load_prompt(prompt)
    drawing = Drawing(max_new_tokens, sampling_temperature, top_p, seed)
    found = {function.__name__: function for function in map(load_function, functions)}
    tools = tuple(schema_of(function) for function in found.values())

    async def draw(talk: Talk, sample: int) -> Sequence[dict[str, Any]]:
        request = replace(known.request(row, drawing, sample=sample), tools=tools)
        said: list[dict[str, Any]] = []
        errors = 0
        for _ in range(rounds):
            reply = named(await talk.one(replace(request, messages=(*request.messages, *said))), len(said))
            _check(reply)
            said.append(dict(reply.turn()))
            if not reply.tool_calls:
                break
            for call in reply.tool_calls:
                text, worked = await _within(call, found, seconds)
                errors += not worked
                said.append(
                    {"role": "tool", "tool_call_id": call.call_id, "name": call.name, "content": text}
                )
        else:
            raise Unfit("rounds", f"after {rounds} answers there is still a call")
        turns = [*(given(turn) for turn in own_turns(row)), *said]
        told = {REFERENCE: own_answer(row), **carried(row)}
        return [{**told, "messages": turns, "tools": json.dumps(tools), "tool_errors": errors}]

    return await made(row, ask, draw, operator="tool_calls", samples=samples)


def named(reply: Reply, place: int) -> Reply:
    """The reply with an id on each call, where the server gives none."""
    calls = [
        call if call.call_id else ToolCall(call.name, call.arguments, f"call_{place}_{number}")
        for number, call in enumerate(reply.tool_calls)
    ]
    return replace(reply, tool_calls=tuple(calls))


def _check(reply: Reply) -> None:
    if not reply.stopped:
        raise Unfit("length" if reply.finish == "length" else str(reply.finish), "an answer was cut")
    if not reply.text.strip() and not reply.tool_calls:
        raise ParseFailed("empty", "the answer says nothing and calls nothing")


async def _within(call: ToolCall, functions: dict[str, Function], seconds: float) -> tuple[str, bool]:
    """What a call gives. A function that does not end keeps its thread, which ends with the process."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[tuple[str, bool]] = loop.create_future()

    def tell(result: tuple[str, bool]) -> None:
        if not done.done():
            done.set_result(result)

    def work() -> None:
        result = called(call, functions)
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(tell, result)

    threading.Thread(target=work, name=call.name, daemon=True).start()
    try:
        return await asyncio.wait_for(done, seconds)
    except TimeoutError:
        return json.dumps({"error": f"{call.name} took more than {seconds:g} s"}), False
