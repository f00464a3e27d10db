"""A model in this process as what carries calls: requests that come together are answered in batches."""

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from limbeck.core.asking import Failure, FailureClass, Reply, Request, RequestFailed, Usage
from limbeck.core.errors import LimbeckError
from limbeck.core.kinds import KindName, kind_named
from limbeck.core.template import TemplateError
from limbeck.endpoint.reasoning import thoughts_in_text
from limbeck.endpoint.settings import Timeouts
from limbeck.endpoint.structured import asked_by
from limbeck.endpoint.transport import Answer
from limbeck.inference.generate import generate
from limbeck.inference.request import Completion, is_seq2seq
from limbeck.inference.sample import sample
from limbeck.rows.causal import Piece, encoded
from limbeck.rows.chat import Segment, chat_prompt
from limbeck.rows.tokens import encode_whole
from limbeck.runs.assembly.teachers.local_scores import scores_of
from limbeck.runs.assembly.teachers.written import text_of

_NO_LIMIT = 1_000_000  # positions, for models that name none


@dataclass
class _Call:
    """A request that waits for its answer."""

    request: Request
    seed: int
    ids: list[int]
    answer: "asyncio.Future[Answer]"

    @property
    def way(self) -> tuple[float, float, int | None]:
        """What calls of one batch have in common."""
        return self.request.temperature, self.request.top_p, self.request.logprobs


class LocalTransport:
    """Answers what has come in since the last batches were begun; long and short prompts do not share one.

    What a request draws depends on its own seed alone, not on what else is asked meanwhile.
    """

    def __init__(
        self, model: Callable[[], Any], tokenizer: Any, kind: KindName, *, positions: int | None
    ) -> None:
        """Args: model: loads it, when the first answer is wanted; kind: what it is used as."""
        self._load, self._tokenizer, self._kind = model, tokenizer, kind
        self._positions = positions or _NO_LIMIT
        self._model: Any = None
        self._waiting: list[_Call] = []
        self._working: asyncio.Task[None] | None = None

    async def send(self, request: Request, *, seed: int | None, timeouts: Timeouts) -> Answer:
        """The model's answer; nothing is too slow."""
        if request.schema is not None:
            request, _ = asked_by(request, "prompt")
        ids = self._ids_of(request)
        call = _Call(request, seed or 0, ids, asyncio.get_running_loop().create_future())
        self._waiting.append(call)
        if self._working is None or self._working.done():
            self._working = asyncio.ensure_future(self._work())
        return await call.answer

    async def aclose(self) -> None:
        """Forget the model."""
        self._model = None

    async def _work(self) -> None:
        while self._waiting:
            await asyncio.sleep(0)  # those that are asked in the same turn of the loop come along
            taken, self._waiting = [one for one in self._waiting if not one.answer.done()], []
            for calls in _alike(taken):
                try:
                    answers = await asyncio.to_thread(self._answered, calls)
                except Exception as error:  # each waits for an answer, and gets none
                    for call in calls:
                        if not call.answer.done():
                            call.answer.set_exception(error)
                    continue
                for call, answer in zip(calls, answers, strict=True):
                    if not call.answer.done():
                        call.answer.set_result(answer)

    def _answered(self, calls: Sequence[_Call]) -> list[Answer]:
        if self._model is None:
            self._model = self._load()
        written = self._write(calls)
        k = calls[0].request.logprobs
        scores = [None] * len(calls) if k is None else self._scores(calls, written, k)
        return [
            Answer(self._reply(call, one, scored))
            for call, one, scored in zip(calls, written, scores, strict=True)
        ]

    def _write(self, calls: Sequence[_Call]) -> list[Completion]:
        prompts, temperature, top_p = [one.ids for one in calls], *calls[0].way[:2]
        options = {"tokenizer_or_ids": self._tokenizer, "vocabulary": len(self._tokenizer)}
        if not is_seq2seq(self._model):
            return sample(
                self._model,
                prompts,
                max_new_tokens=[one.request.max_tokens for one in calls],
                sampling_temperature=temperature,
                top_p=top_p,
                seeds=[one.seed for one in calls],
                **options,
            )
        return [
            generate(
                self._model,
                [one.ids],
                max_new_tokens=one.request.max_tokens,
                sampling_temperature=temperature,
                top_p=top_p,
                seed=one.seed,
                **options,
            )[0]
            for one in calls
        ]

    def _scores(self, calls: Sequence[_Call], written: Sequence[Completion], k: int) -> list[Any]:
        pairs = [(call.ids, one.ids) for call, one in zip(calls, written, strict=True)]
        return scores_of(self._model, self._tokenizer, pairs, k=k)

    def _reply(self, call: _Call, one: Completion, scores: Any) -> Reply:
        text, is_cut = _until(text_of(one.content, self._tokenizer), call.request.stop)
        reasoning = None
        if call.request.messages:
            thought = thoughts_in_text(text)
            text, reasoning = thought.text, thought.reasoning
        return Reply(
            text=text,
            reasoning=reasoning,
            finish="stop" if one.stopped or is_cut else "length",
            usage=Usage(prompt=len(call.ids), completion=len(one.ids)),
            scores=scores,
            tier="prompt" if call.request.schema is not None else None,
        )

    def _ids_of(self, request: Request) -> list[int]:
        """Token ids that the model reads.

        Raises:
            RequestFailed: the chat template refuses the turns, or there is no room for an answer.
        """
        if request.prompt_logprobs is not None:
            raise _refused("unsupported", "prompt_logprobs must be none for a model in this process.")
        try:
            ids = self._encoded(request)
        except TemplateError as error:
            raise _refused("template", f"{error}. {error.advice}") from None
        except LimbeckError as error:
            raise _refused("prompt", str(error)) from None
        apart = kind_named(self._kind).encoder_decoder
        room = self._positions - (0 if apart else request.max_tokens)
        if not 0 < len(ids) <= room:
            raise _refused(
                "context_length",
                f"a prompt must have 1 to {max(room, 0):,} tokens, got {len(ids):,}: the model has "
                f"{self._positions:,} positions, and {request.max_tokens:,} are for the answer.",
            )
        return ids

    def _encoded(self, request: Request) -> list[int]:
        if request.token_ids is not None:
            return list(request.token_ids)
        if request.messages:
            tools = json.dumps(list(request.tools), ensure_ascii=False) if request.tools else None
            segments = chat_prompt([dict(turn) for turn in request.messages], self._tokenizer, tools=tools)
        else:
            segments = [Segment(request.text or "", False)]
        if kind_named(self._kind).encoder_decoder:
            text = "".join(segment.text for segment in segments)
            ids, _, _ = encode_whole(self._tokenizer, [text], max_length=self._positions)
            return list(ids[0])
        joined = bool(request.messages) and self._tokenizer.chat_template is not None
        return list(encoded([Piece("", segments, joined=joined)], self._tokenizer)[0].input_ids)


def _alike(calls: Sequence[_Call]) -> Iterator[list[_Call]]:
    """Calls that can be answered together, in the order in which the first of each kind came."""
    found: dict[tuple[float, float, int | None], list[_Call]] = {}
    for call in calls:
        found.setdefault(call.way, []).append(call)
    yield from found.values()


def _until(text: str, stops: Sequence[str]) -> tuple[str, bool]:
    """A text up to the first of some strings, and whether one was there."""
    places = [place for stop in stops if stop and (place := text.find(stop)) >= 0]
    return (text[: min(places)], True) if places else (text, False)


def _refused(reason: str, message: str) -> RequestFailed:
    return RequestFailed(Failure(FailureClass.PERMANENT, reason, message))
