"""What all subjects write behind held-out prompts: made once, and read by all metrics of written text."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from limbeck.core.errors import ConfigError, Problem
from limbeck.core.positions import positions_of
from limbeck.evaluation.data import EvaluationData
from limbeck.evaluation.prompts import Prompt, fitting_prompts, prompt_room, same_prompts
from limbeck.evaluation.settings import EvaluatedModel
from limbeck.evaluation.statistics import Rows
from limbeck.inference.generate import generate
from limbeck.inference.request import Completion, TokenIds

_KEPT = "written"


@dataclass(frozen=True)
class Written:
    """Greedy completions of the same held-out prompts.

    Attributes:
        prompts: in the tokens of the first subject.
        passed_over: prompts that left no room in a context.
        texts: of prompts and references.
        completions: by name of the subject, in the order of the prompts.
        said: the same as text.
        rows: of the prompts.
    """

    prompts: list[Prompt]
    passed_over: int
    texts: "Texts"
    completions: dict[str, list[Completion]]
    said: dict[str, list[str]]
    rows: Rows


def written(evidence: EvaluationData) -> Written:
    """What every subject writes; the first metric that asks has it written.

    Raises:
        ConfigError: no prompt can be completed.
    """
    if _KEPT not in evidence.made:
        evidence.made[_KEPT] = _written(evidence)
    found: Written = evidence.made[_KEPT]
    return found


def _written(evidence: EvaluationData) -> Written:
    settings = evidence.settings
    drawn, passed_over = fitting_prompts(evidence, _room(evidence))
    check_prompts(drawn, passed_over, settings.max_new_tokens)
    others = [*own_formats(evidence), *evidence.others]
    given = Texts(evidence, drawn).prompts
    prompts_of = [drawn, *(same_prompts(drawn, given, other) for other in others)]
    rooms = [_room(one) for one in (evidence, *others)]
    # In other tokens or another chat format a prompt may be longer.
    kept = [k for k, same in enumerate(zip(*prompts_of, strict=True)) if all(map(_fits, same, rooms))]
    passed_over += len(drawn) - len(kept)
    check_prompts(kept, passed_over, settings.max_new_tokens)
    read = []
    for group, own in zip((evidence, *others), prompts_of, strict=True):
        chosen = [own[k] for k in kept]
        read.append((group, chosen, Texts(group, chosen)))
    _, prompts, texts = read[0]
    completions: dict[str, list[Completion]] = {}
    said: dict[str, list[str]] = {}
    for group, asked, around in read:
        for subject in (one for one in group.writers if one.prompts is None or group is not evidence):
            made = _complete(subject, asked, evidence, len(completions))
            completions[subject.name] = made
            said[subject.name] = around.after_prompts([one.content for one in made])
    names: dict[str, int] = {}
    row = [names.setdefault(evidence.row_id(prompt.row), len(names)) for prompt in prompts]
    rows = Rows(row, resamples=settings.resamples, seed=settings.seed)
    return Written(prompts, passed_over, texts, completions, said, rows)


def own_formats(evidence: EvaluationData) -> list[EvaluationData]:
    """One for each subject that reads the rows in its own chat format, and so has prompts of its own."""
    return [
        replace(evidence, subjects=[subject], source=subject.prompts, others=())
        for subject in evidence.writers
        if subject.prompts is not None
    ]


def check_prompts(prompts: Sequence[object], passed_over: int, max_new_tokens: int) -> None:
    """Refuse an evaluation in which nothing can be completed.

    Raises:
        ConfigError: no prompt, or none that leaves room for the completion.
    """
    if prompts:
        return
    if passed_over:
        raise ConfigError(
            Problem(
                "max_new_tokens",
                f"must leave room for a held-out prompt in the context of every model, got {max_new_tokens}, "
                f"for which all {passed_over} are too long. Set fewer, or leave generation out of metrics.",
            )
        )
    raise ConfigError(
        "generation must have a held-out row with a prompt, or with at least three tokens, got none. "
        "Hold out longer rows, or leave generation out."
    )


def _room(evidence: EvaluationData) -> int | None:
    positions = (positions_of(subject.model.config) for subject in evidence.writers)
    return prompt_room(evidence.settings, positions)


def _fits(prompt: Prompt, room: int | None) -> bool:
    return room is None or len(prompt.ids) <= room


def _complete(
    subject: EvaluatedModel, prompts: list[Prompt], evidence: EvaluationData, place: int
) -> list[Completion]:
    share = sum(len(one.writers) for one in (evidence, *evidence.others))
    return generate(
        subject.model,
        [prompt.ids for prompt in prompts],
        tokenizer_or_ids=TokenIds.of(subject.tokenizer, subject.model),
        max_new_tokens=evidence.settings.max_new_tokens,
        vocabulary=subject.reader.vocabulary,
        progress=lambda done: evidence.progress("generation", (place + done) / share),
    )


class Texts:
    """Prompts, references and completions as text."""

    def __init__(self, evidence: EvaluationData, prompts: list[Prompt]) -> None:
        self._tokenizer = evidence.subjects[0].tokenizer
        # A causal model's text goes on where its prompt ends; a seq2seq model's stands alone.
        self._before = [[] if evidence.kind.encoder_decoder else prompt.ids for prompt in prompts]
        self.rows = [prompt.row for prompt in prompts]
        self.prompts = self._decode([prompt.ids for prompt in prompts])
        self.references = self.after_prompts([prompt.reference for prompt in prompts])

    def after_prompts(self, ids: Sequence[list[int]]) -> list[str]:
        """Texts of `ids`, decoded behind their prompts so that a space between the two is kept."""
        before = self._decode(self._before)
        both = self._decode([start + new for start, new in zip(self._before, ids, strict=True)])
        alone = self._decode(ids)
        return [
            whole[len(start) :] if whole.startswith(start) else new
            for whole, start, new in zip(both, before, alone, strict=True)
        ]

    def _decode(self, ids: Sequence[list[int]]) -> list[str]:
        texts: list[str] = self._tokenizer.batch_decode(
            ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return texts
