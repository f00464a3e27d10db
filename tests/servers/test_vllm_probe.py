"""A real vLLM: its scores are the model's, and what would be learnt wrong is refused."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from limbeck.assets import asset_path
from limbeck.core.errors import StoreError
from limbeck.core.token_bytes import token_bytes
from limbeck.endpoint import Endpoint, Engine
from limbeck.endpoint.transports.openai import OpenAITransport
from limbeck.signals.server_probe import ServerProbe, probe_server
from tests.servers.vllm import NAME, vllm_server
from tests.tiny import tiny_tokenizer

pytestmark = pytest.mark.server

TEACHER = asset_path("code_teacher")
VOCABULARY, MOST, LONGEST = 4096, 64, 256
FLOAT32 = 1e-5  # nats of KL between one program's rounding and another's


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Any:
    log = tmp_path_factory.mktemp("vllm") / "log"
    with vllm_server(TEACHER, log, "--max-logprobs", str(MOST), max_length=LONGEST + 1) as found:
        yield found


def rows(length: int = 200, count: int = 4) -> list[list[int]]:
    """The beginning of a module of Python's own, in pieces."""
    tokenizer = AutoTokenizer.from_pretrained(TEACHER)
    ids = tokenizer(Path(asyncio.__file__).with_name("tasks.py").read_text())["input_ids"]
    return [ids[length * place : length * (place + 1)] for place in range(count)]


def local() -> Callable[[Sequence[int]], Any]:
    model = AutoModelForCausalLM.from_pretrained(TEACHER).eval()

    def log_probs(ids: Sequence[int]) -> Any:
        with torch.no_grad():
            return model(torch.tensor([ids])).logits[0, :-1].double().log_softmax(-1).numpy()

    return log_probs


def probed(url: str, journal: Path, **settings: Any) -> ServerProbe:
    chosen = {
        "rows": rows(), "most": MOST, "vocabulary": VOCABULARY, "again": 1,
        "spelling": token_bytes(AutoTokenizer.from_pretrained(TEACHER)), **settings,
    }  # fmt: skip

    async def run() -> ServerProbe:
        endpoint = Endpoint(url=url, model=NAME, workers=8)
        transport = OpenAITransport(url=url, model=NAME)
        async with Engine(endpoint, transport, journal=journal) as engine:
            return await probe_server(chosen.pop("rows"), engine, **chosen)

    return asyncio.run(run())


def test_it_scores_prompts_as_the_model_does(url: str, tmp_path: Path) -> None:
    found = probed(url, tmp_path / "j.sqlite", local=local())
    print("\n" + "\n".join(found.said()))
    assert found.mode == "raw" and found.positions == 4 * 199
    assert found.repeated.mean < FLOAT32 and found.local is not None and found.local.mean < FLOAT32


def test_more_ids_than_it_allows_are_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=f"--max-logprobs 65 or more, or set payload.topk.max={MOST}"):
        probed(url, tmp_path / "j.sqlite", most=MOST + 1)


def test_a_row_that_fills_its_context_is_refused(url: str, tmp_path: Path) -> None:
    assert probed(url, tmp_path / "j.sqlite", rows=rows(LONGEST, 1)).rows == 1
    with pytest.raises(StoreError, match="set max_length to one less than its context"):
        probed(url, tmp_path / "j.sqlite", rows=rows(LONGEST + 1, 1))


def test_rows_of_another_tokenizer_are_refused(url: str, tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    text = tokenizer("the teacher says what the student must learn, and the student learns")["input_ids"]
    with pytest.raises(StoreError, match="must have the tokenizer of the rows, got another"):
        probed(url, tmp_path / "j.sqlite", rows=[text], spelling=token_bytes(tokenizer))


def test_an_id_that_it_does_not_have_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="Name the tokenizer that the served model was trained with"):
        probed(url, tmp_path / "j.sqlite", rows=[[5, 6, VOCABULARY]])


def test_logits_are_refused(tmp_path: Path) -> None:
    flags = ("--max-logprobs", str(MOST), "--logprobs-mode", "raw_logits")
    with (
        vllm_server(TEACHER, tmp_path / "log", *flags) as url,
        pytest.raises(StoreError, match="gives logits: start it with --logprobs-mode raw_logprobs"),
    ):
        probed(url, tmp_path / "j.sqlite")
