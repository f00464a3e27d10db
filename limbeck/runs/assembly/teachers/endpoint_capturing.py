"""A teacher behind a server that scores prompts, captured: rows are sent as token ids, many at once."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from limbeck.core.asking import RequestFailed
from limbeck.core.errors import ConfigError, StoreError
from limbeck.core.fingerprint import fingerprint
from limbeck.core.kinds import KindName
from limbeck.core.models import load_tokenizer
from limbeck.core.token_bytes import token_bytes
from limbeck.endpoint import Engine
from limbeck.endpoint.mapping import ordered
from limbeck.endpoint.room import Room
from limbeck.endpoint.secret import read_secret
from limbeck.recipes.steps import Capture
from limbeck.recipes.teachers import EndpointTeacher
from limbeck.rows.source import PaddedSource
from limbeck.runs.assembly.journals import journal_of
from limbeck.runs.assembly.loops import Loop, open_loop
from limbeck.runs.assembly.models import located
from limbeck.runs.assembly.stores import predicted_bytes
from limbeck.runs.assembly.teachers import endpoint
from limbeck.runs.checking.model_infos import check_longest
from limbeck.runs.checking.planned import PlannedStep
from limbeck.runs.checking.rates import Rates
from limbeck.runs.steps.context import StepContext
from limbeck.runs.steps.look import Look, Survey
from limbeck.signals.filling import Asked
from limbeck.signals.served import SentRow, Served, scoring_request, top_of_scores
from limbeck.signals.server_probe import LogProbs, ServerProbe, probe_server, refusal
from limbeck.signals.support import Top

_SAMPLE_ROWS, _SAMPLE_TOKENS = 8, 4096  # of a probe: seconds, on any server
_UNDER_WAY = 65_536  # tokens that are scored at once: at 64 ids of 70 bytes, 300 MB of answers
_AHEAD = 4  # rows that may be done before an earlier one, for each worker


def look(at: Look, step: Capture) -> tuple[KindName, Any] | None:
    """Refuse a key, a price table, a tokenizer or a local copy that cannot be read."""
    teacher = _teacher_of(step)
    endpoint.check_asked(at, teacher, "teacher")
    if step.local is not None:
        at.info(step.local, "local")
    return "causal", _tokenizer_of(step)


def check_rows(at: Look, step: Capture, rendered: Any) -> None:
    """Refuse rows that the local copy could not read, and say what asking costs."""
    if step.local is not None:
        check_longest(max(map(len, rendered["input_ids"]), default=0), at.info(step.local, "local"))
    most = _most(step, _vocabulary(_tokenizer_of(step)))
    sample = [scoring_request(ids, most=most) for ids in rendered["input_ids"][:_SAMPLE_ROWS]]
    at.note(*endpoint.said_of_cost(at, _teacher_of(step), sample, len(rendered)))


def plan(step: Capture, seen: Survey, rates: Rates, planned: PlannedStep) -> PlannedStep:
    """What it answers; how long that takes is the server's."""
    positions = seen.positions.get(planned.place, 0)
    stored = predicted_bytes(step.payload, positions, vocabulary=_MANY, width=0) if positions else 0
    return replace(planned, disk=stored)


def open_captured(step: Capture, work: StepContext) -> "CapturedServer":
    """The server of a step."""
    return CapturedServer(step, work)


@dataclass
class CapturedServer:
    """A model at a server.

    Attributes:
        step: that captures it.
        work: where journals lie.
        probe: what was found before the first shard; None: the store was there already.
    """

    step: Capture
    work: StepContext
    probe: ServerProbe | None = field(default=None, init=False)

    in_every_rank = False
    kind: KindName = "causal"
    decoder_start: int | None = None

    @cached_property
    def tokenizer(self) -> Any:
        """That the recipe names."""
        return _tokenizer_of(self.step)

    @property
    def weights(self) -> str:
        """Of its name and label: servers tell no more."""
        teacher = _teacher_of(self.step)
        return fingerprint({"model": teacher.model, "label": teacher.label})

    @cached_property
    def vocabulary(self) -> int:
        """Ids of its tokenizer."""
        return _vocabulary(self.tokenizer)

    @property
    def most(self) -> int:
        """Ids of a position that are asked for."""
        return _most(self.step, self.vocabulary)

    @contextmanager
    def asking(self, source: PaddedSource) -> Iterator[Asked]:
        """The server, which is reached when it is asked first."""
        with ExitStack() as stack:
            yield _Scored(self, source, stack)

    def prepare(self, asked: Asked) -> None:
        """Ask about a few rows, and refuse a server whose scores are not what they seem."""
        assert isinstance(asked, _Scored)
        self.probe = asked.probed()

    def origin(self) -> Mapping[str, Any]:
        """Where it was asked, and what the probe found."""
        teacher, probe = _teacher_of(self.step), self.probe
        assert probe is not None, "asked before the store is whole"
        found = {
            "endpoint": teacher.endpoint,
            "model": teacher.model,
            "label": teacher.label,
            "served_model": probe.served_model,
            "logprobs": probe.mode,
            "ids": self.most,
        }
        if probe.local is not None:
            found |= {"local": str(self.step.local), "kl_from_local": probe.local.mean}
            found |= {"kl_from_local_at_most": probe.local.most}
        return found

    def notes(self) -> Sequence[str]:
        """What the probe found."""
        return () if self.probe is None else tuple(self.probe.said())


class _Scored(Served):
    """The server at work on the rows of a source."""

    def __init__(self, server: CapturedServer, source: PaddedSource, stack: ExitStack) -> None:
        super().__init__(self._all, source.batch, most=server.most)
        self._server, self._source, self._stack = server, source, stack

    @cached_property
    def _loop(self) -> Loop:
        return self._stack.enter_context(open_loop())

    @cached_property
    def _engine(self) -> Engine:
        step, work = self._server.step, self._server.work
        teacher = _teacher_of(step)
        settings = endpoint.settings_of(teacher)

        async def opened() -> Engine:
            from limbeck.endpoint.transports.openai import OpenAITransport

            # Whole answers and the server's own spelling of tokens: scores of a prompt are not streamed, and
            # how tokens are spelt tells whose they are.
            transport = OpenAITransport(
                url=teacher.endpoint, model=teacher.model, secret=read_secret(teacher.api_key_env)
            )
            # A budget goes with what is made: the run folder of a command is another one each time.
            scope = str(Path(step.folder or work.run.path).expanduser().resolve())
            journal = journal_of(settings, work.run.path)
            # A refusal ends a capture, so each start asks again: the server may have other flags by now.
            return Engine(
                settings, transport, journal=journal, scope=scope, retry_failed=True, count_tokens=_length
            )

        engine = self._loop.finished(opened())
        self._stack.callback(lambda: self._loop.finished(engine.aclose()))
        return engine

    def probed(self) -> ServerProbe:
        """What the server says of a few rows."""
        step = self._server.step
        spelling = token_bytes(self._server.tokenizer)
        return self._loop.finished(
            probe_server(
                self._sample(),
                self._engine,
                most=self._server.most,
                vocabulary=self._server.vocabulary,
                spelling=spelling,
                again=time.time_ns(),  # a second may hold two starts
                local=self._local() if step.local is not None else None,
                within=step.within,
            )
        )

    def _sample(self) -> list[list[int]]:
        """The longest row, and others from everywhere."""
        lengths = self._source.lengths
        longest = max(range(len(lengths)), key=lengths.__getitem__)
        spread = [place * len(lengths) // _SAMPLE_ROWS for place in range(_SAMPLE_ROWS)]
        found: list[list[int]] = []
        for row in dict.fromkeys([longest, *spread]):
            full = sum(map(len, found)) + lengths[row] > _SAMPLE_TOKENS
            if lengths[row] > 1 and not (found and full):
                batch = self._source.batch([row])
                found.append(batch.inputs["input_ids"][0, : lengths[row]].tolist())
        if not found:
            raise ConfigError("rows of a capture must have two tokens at least, got none that has.")
        return found

    def _local(self) -> LogProbs:
        work, vocabulary = self._server.work, self._server.vocabulary
        model = work.load_model(str(self._server.step.local), "causal").eval()

        @torch.no_grad()
        def log_probs(ids: Sequence[int]) -> np.ndarray:
            logits = model(torch.tensor([ids], device=work.device)).logits[0, :-1, :vocabulary]
            return np.asarray(logits.float().log_softmax(-1).cpu())

        return log_probs

    def _all(self, rows: Iterable[SentRow]) -> Iterator[Top]:
        workers = self._engine.endpoint.workers
        room = Room(_UNDER_WAY)

        async def one(row: SentRow) -> Top:
            async with room.take(len(row.ids)):
                return await self._one(row)

        for answered in self._loop.each(ordered(rows, one, workers=workers, ahead=_AHEAD * workers)):
            assert answered.value is not None, "failures are raised"
            yield answered.value

    async def _one(self, row: SentRow) -> Top:
        most = self._server.most
        try:
            reply = await self._engine.ask(scoring_request(row.ids, most=most))
            scores, vocabulary = reply.prompt_scores, self._server.vocabulary
            return top_of_scores(scores, row.ids, row.kept, most=most, vocabulary=vocabulary)
        except RequestFailed as error:
            raise StoreError(f"row {row.id}: {refusal(error.failure, len(row.ids), most)}") from None
        except StoreError as error:
            raise StoreError(f"row {row.id}: {error}") from None


_MANY = 2**17  # ids: of a size of which a store is predicted, where that hardly matters


def _teacher_of(step: Capture) -> EndpointTeacher:
    assert isinstance(step.teacher, EndpointTeacher)
    return step.teacher


def _tokenizer_of(step: Capture) -> Any:
    return load_tokenizer(located(str(_teacher_of(step).tokenizer)))


def _most(step: Capture, vocabulary: int) -> int:
    assert step.payload.topk is not None, "checked with the recipe"
    return min(step.payload.topk.max, vocabulary)


def _vocabulary(tokenizer: Any) -> int:
    return 1 + max(tokenizer.get_vocab().values())


def _length(request: Any) -> int:
    return len(request.token_ids or ())
