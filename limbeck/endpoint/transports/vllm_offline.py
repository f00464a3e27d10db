"""vLLM in this process as a teacher: no server, each answer kept as it finishes, restarted when it dies."""

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from limbeck.core.asking import Candidate, Failure, FailureClass, Reply, Request, RequestFailed, Usage
from limbeck.core.asking.reply import Finish, TokenScores
from limbeck.core.errors import ConfigError, UserError
from limbeck.endpoint.logprobs import Vocabulary
from limbeck.endpoint.reasoning import thoughts_in_text
from limbeck.endpoint.settings import Timeouts
from limbeck.endpoint.transport import Answer
from limbeck.endpoint.transports.failures import Told, clean, failure_of

RESTARTS = 3
"""Times in a row that a dead engine is started again without an answer in between."""

_FINISHES: Mapping[str, Finish] = {"stop": "stop", "length": "length", "abort": "interrupted"}


class VLLMTransport:
    """Calls into a vLLM engine, which batches them by itself as they come and go.

    A prompt that the engine refuses is the failure of its request alone. An engine that died is started again
    for the requests that it took with it, which the request engine sends once more.
    """

    def __init__(
        self, *, model: str, engine: Mapping[str, Any] | None = None, vocabulary: Vocabulary | None = None
    ) -> None:
        """
        Args:
            model: folder or hub id.
            engine: further arguments of vLLM's engine, such as max_model_len and tensor_parallel_size.
            vocabulary: the bytes of every token id; without it tokens of log-probabilities have ids alone.

        Raises:
            UserError: vLLM is not installed.
        """
        self._vllm = _vllm()
        self._arguments = {"model": model, **(engine or {})}
        self._model, self._vocabulary = model, vocabulary
        self._engine: Any = None
        self._starting = asyncio.Lock()
        self._numbers = itertools.count()
        self._deaths = 0

    async def send(self, request: Request, *, seed: int | None, timeouts: Timeouts) -> Answer:
        """One answer, as `limbeck.endpoint.transport.Transport` says; timeouts are those of nobody here."""
        engine = await self._alive()
        prompt = self._prompt(engine, request)
        failure, output = await self._generated(engine, prompt, self._sampling(request, seed))
        if failure is not None:
            raise RequestFailed(failure)
        self._deaths = 0
        return Answer(self._reply(output, request))

    async def aclose(self) -> None:
        """Ends the engine and its processes."""
        if self._engine is not None:
            self._engine.shutdown()
            self._engine = None

    async def _alive(self) -> Any:
        """The engine, started if there is none or the last one died."""
        async with self._starting:
            if self._engine is not None and self._engine.errored:
                self._engine.shutdown()
                self._engine = None
                self._deaths += 1
            if self._deaths > RESTARTS:
                message = f"vLLM died {self._deaths} times in a row; look at what it printed."
                raise RequestFailed(Failure(FailureClass.QUOTA, "engine_dead", message))
            if self._engine is None:
                arguments = self._vllm.AsyncEngineArgs(**self._arguments)
                self._engine = self._vllm.AsyncLLMEngine.from_engine_args(arguments)
            return self._engine

    def _prompt(self, engine: Any, request: Request) -> Any:
        if request.token_ids is not None:
            return {"prompt_token_ids": list(request.token_ids)}
        if request.text is not None:
            return {"prompt": request.text}
        tokenizer = engine.get_tokenizer()
        if not getattr(tokenizer, "chat_template", None):
            raise ConfigError(
                f"model must have a chat template to answer messages, got none in {self._model}. Ask by text."
            )
        tools = {"tools": [dict(tool) for tool in request.tools]} if request.tools else {}
        turns = [dict(turn) for turn in request.messages]
        ids = tokenizer.apply_chat_template(
            turns, add_generation_prompt=True, tokenize=True, return_dict=False, **tools
        )
        return {"prompt_token_ids": list(ids)}

    def _sampling(self, request: Request, seed: int | None) -> Any:
        """vLLM's words for how an answer is drawn; its own defaults draw from the whole distribution."""
        held: dict[str, Any] = {}
        if request.schema is not None:
            from vllm.sampling_params import StructuredOutputsParams

            held["structured_outputs"] = StructuredOutputsParams(json=dict(request.schema))
        return self._vllm.SamplingParams(
            temperature=request.temperature,
            top_p=request.top_p,
            max_tokens=request.max_tokens,
            stop=list(request.stop) or None,
            seed=seed,
            logprobs=request.logprobs,
            prompt_logprobs=request.prompt_logprobs,
            **held,
            **dict(request.extra),
        )

    async def _generated(self, engine: Any, prompt: Any, sampling: Any) -> tuple[Failure | None, Any]:
        output = None
        number = f"limbeck-{next(self._numbers)}"
        try:
            async for piece in engine.generate(prompt, sampling, number):
                output = piece  # each holds all that came before
        except (ValueError, TypeError) as error:  # of this prompt or its settings
            return failure_of(Told(400, {"error": {"message": str(error)}}, {})), None
        except Exception as error:
            if engine.errored:
                message = f"vLLM died: {clean(str(error))}"
                return Failure(FailureClass.TRANSIENT, "engine_dead", message), None
            # A prompt that is too long is an error of vLLM's own, known by its words alone.
            return failure_of(Told(500, {"error": {"message": str(error)}}, {})), None
        if output is None or not output.outputs:
            return Failure(FailureClass.MALFORMED, "no_choices", "vLLM ended without an answer."), None
        return None, output

    def _reply(self, output: Any, request: Request) -> Reply:
        answer, ids = output.outputs[0], list(output.prompt_token_ids or ())
        thought = thoughts_in_text(answer.text) if request.messages else None
        read = output.prompt_logprobs
        return Reply(
            text=answer.text if thought is None else thought.text,
            finish=_FINISHES.get(str(answer.finish_reason), "unknown"),
            reasoning=None if thought is None else thought.reasoning,
            tier="grammar" if request.schema is not None else None,
            usage=Usage(
                prompt=len(ids), cached=int(output.num_cached_tokens or 0), completion=len(answer.token_ids)
            ),
            scores=None
            if answer.logprobs is None
            else self._scores(answer.token_ids, answer.logprobs, request.logprobs),
            prompt_scores=None if read is None else self._scores(ids[1:], read[1:], request.prompt_logprobs),
            served_model=self._model,
        )

    def _scores(
        self, ids: Sequence[int], rows: Sequence[Mapping[int, Any]], k: int | None
    ) -> tuple[TokenScores, ...]:
        """vLLM's mapping from id to log-probability, a position."""
        found = []
        for token, row in zip(ids, rows, strict=True):
            candidates = {index: self._candidate(index, entry) for index, entry in row.items()}
            top = sorted(candidates.values(), key=lambda candidate: -candidate.logprob)
            found.append(TokenScores(candidates[token], tuple(top[:k] if k is not None else top)))
        return tuple(found)

    def _candidate(self, index: int, entry: Any) -> Candidate:
        known = self._vocabulary is not None and index < len(self._vocabulary)
        data = self._vocabulary[index] if known and self._vocabulary is not None else b""
        return Candidate(data, float(entry.logprob), int(index))


def _vllm() -> Any:
    try:
        import vllm
    except ImportError:
        raise UserError(
            "a teacher inside of this process needs vLLM. Install it as its guide says for this machine, or "
            "start a server elsewhere and name its URL."
        ) from None
    return vllm
