"""A model in this process as a teacher that is asked: batches, seeds, log-probabilities, refusals."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import torch

import limbeck
from limbeck.core.asking import Reply, Request, RequestFailed
from limbeck.endpoint import Timeouts
from limbeck.inference.generate import generate
from limbeck.recipes import Recipe
from limbeck.runs.assembly.teachers.local_transport import LocalTransport
from limbeck.runs.record.progress import Silent
from tests.tiny import tiny_llama, tiny_seq2seq_tokenizer, tiny_t5, tiny_tokenizer

TURN = ({"role": "user", "content": "the cat"},)


@pytest.fixture(scope="module")
def model() -> Any:
    return tiny_llama(initializer_range=0.05)


def answers(
    model: Any, *requests: Request, positions: int = 256, loads: list[int] | None = None
) -> list[Any]:
    """Replies or failures, all asked at once; seeds are their numbers."""

    def load() -> Any:
        (loads if loads is not None else []).append(1)
        return model

    async def asked() -> list[Any]:
        transport = LocalTransport(load, tiny_tokenizer(), "causal", positions=positions)
        sends = [transport.send(one, seed=n, timeouts=Timeouts()) for n, one in enumerate(requests)]
        found = await asyncio.gather(*sends, return_exceptions=True)
        await transport.aclose()
        return [getattr(one, "reply", one) for one in found]

    return asyncio.run(asked())


def test_what_a_request_draws_does_not_depend_on_what_is_asked_beside_it(model):
    requests = [Request(text=text, max_tokens=6 + n) for n, text in enumerate(["the cat", "a dog", "data"])]
    together = answers(model, *requests)
    alone = [answers(model, *[requests[0]] * n, one)[n] for n, one in enumerate(requests)]
    assert [one.text for one in together] == [one.text for one in alone]


def test_a_conversation_is_continued_greedily_as_generate_does(model):
    tokenizer = tiny_tokenizer()
    ids = tokenizer.apply_chat_template(list(TURN), add_generation_prompt=True, return_dict=False)
    (expected,) = generate(model, [ids], tokenizer_or_ids=tokenizer, max_new_tokens=5)
    (reply,) = answers(model, Request(messages=TURN, max_tokens=5, temperature=0))
    assert reply.usage.prompt == len(ids) and reply.usage.completion == len(expected.ids)
    assert reply.text == tokenizer.decode(expected.content, skip_special_tokens=True)
    assert reply.finish == ("stop" if expected.stopped else "length")


def test_log_probabilities_are_those_of_the_model(model):
    ids = tiny_tokenizer()("the cat").input_ids
    (reply,) = answers(model, Request(token_ids=tuple(ids), max_tokens=3, logprobs=2))
    assert isinstance(reply, Reply) and reply.scores is not None and len(reply.scores) == 3
    written = [one.chosen.token_id for one in reply.scores]
    with torch.no_grad():
        logits = model(torch.tensor([[*ids, *written]])).logits[0].log_softmax(-1)
    expected = [float(logits[len(ids) - 1 + n, token]) for n, token in enumerate(written)]
    assert [one.chosen.logprob for one in reply.scores] == pytest.approx(expected, abs=1e-4)
    best = logits[len(ids) - 1].topk(2).indices.tolist()
    assert [one.token_id for one in reply.scores[0].top] == best


def test_a_prompt_without_room_is_refused_alone(model):
    short, long = Request(text="the cat", max_tokens=4), Request(text="the cat " * 40, max_tokens=4)
    found = answers(model, short, long, positions=24)
    assert isinstance(found[0], Reply) and isinstance(found[1], RequestFailed)
    assert found[1].failure.reason == "context_length"


def test_an_answer_ends_before_a_stop_string(model):
    (whole,) = answers(model, Request(text="the cat", max_tokens=12))
    stop = whole.text[4:6]
    (cut,) = answers(model, Request(text="the cat", max_tokens=12, stop=(stop,)))
    assert cut.text == whole.text[: whole.text.index(stop)] and cut.finish == "stop"


def test_the_model_is_loaded_once_and_not_before_it_is_asked(model):
    loads: list[int] = []
    answers(model, loads=loads)
    assert loads == []
    answers(model, *[Request(text="the cat", max_tokens=2)] * 3, loads=loads)
    assert loads == [1]


def test_a_model_with_an_encoder_is_asked_too():
    tokenizer = tiny_seq2seq_tokenizer()

    async def asked() -> Reply:
        transport = LocalTransport(lambda: tiny_t5(layers=1), tokenizer, "seq2seq", positions=None)
        request = Request(messages=TURN, max_tokens=4, temperature=0)
        return (await transport.send(request, seed=1, timeouts=Timeouts())).reply

    assert asyncio.run(asked()).usage.completion <= 4


def test_a_model_that_an_earlier_step_makes_is_asked(world: Path, tmp_path: Path):
    from tests.runs.test_elicit import rows_in, write_rows

    write_rows(tmp_path / "rows.jsonl", [{"prompt": f"the cat {n}"} for n in range(3)])
    steps = [
        {"load": {"out": "rows", "path": str(tmp_path / "rows.jsonl"), "heldout": 0}},
        {"build": {"out": "start", "student": {"cut": str(world / "teacher"), "layers": 1}}},
        {
            "elicit": {
                "out": "made",
                "teacher": "start",
                "rows": "rows.train",
                "operator": {"name": "answer", "max_new_tokens": 3},
            }
        },
    ]
    made = Recipe.from_data({"limbeck": 1, "name": "itself", "steps": steps})
    done = limbeck.run(made, tmp_path / "run", progress=Silent())
    found = rows_in(done.folder / "steps" / "2-elicit-made" / "rows")
    assert done.yields["made"]["calls"] == 3 and all(row["teacher"] == "start" for row in found)


def test_rows_of_a_model_in_the_process_are_made_and_kept_by_its_weights(world: Path, tmp_path: Path):
    from tests.runs.test_elicit import recipe, rows_in, run, write_rows

    write_rows(tmp_path / "rows.jsonl", [{"prompt": f"the cat {n}"} for n in range(5)])
    made = recipe(tmp_path, "http://127.0.0.1:1/v1")
    steps = made.to_data()["steps"]
    steps[1]["elicit"]["teacher"] = str(world / "teacher")
    made = type(made).from_data({**made.to_data(), "steps": steps})
    first, again = run(made, tmp_path / "one"), run(made, tmp_path / "two")
    assert rows_in(first / "rows") == rows_in(again / "rows")
    assert '"cached": 5' in (again / "yield.json").read_text()
