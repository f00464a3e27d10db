"""`limbeck.DistilTrainer`: transformers' Trainer, made of models and data."""

import copy
import logging
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback, TrainingArguments

from limbeck.core.batch import Source
from limbeck.core.config import validate
from limbeck.core.errors import ConfigError, Problem
from limbeck.core.forward_model import ForwardModel
from limbeck.core.kinds import KindName, kind_named, kinds_that
from limbeck.core.models import kind_of, load_model, load_tokenizer, read_config
from limbeck.core.positions import positions_of
from limbeck.core.training import TrainingSettings
from limbeck.engine import hf_trainer
from limbeck.engine.party import Party
from limbeck.objectives.criterion import Criterion
from limbeck.recipes.steps import Train
from limbeck.recipes.terms import Term
from limbeck.rows.aligned.views import writes_alike
from limbeck.rows.load import load_rows
from limbeck.rows.packable import reads_packs
from limbeck.rows.render import notes_of, render
from limbeck.rows.rendering import LossOn
from limbeck.runs.assembly.routers import router_term
from limbeck.runs.assembly.sources import rendering_of, training_source
from limbeck.runs.assembly.terms import build_terms, try_term
from limbeck.runs.given import kept_rows, tokenizer_of
from limbeck.teachers import LocalTeacher, shared_vocabulary

log = logging.getLogger("limbeck")

_LONGEST = 1024  # tokens of a row, where models could read more
Objective = str | Term | Mapping[str, Any]


class DistilTrainer(hf_trainer.DistilTrainer):
    """`transformers.Trainer` with a teacher: the loss is limbeck's, everything else is the Trainer's.

    Args:
        model: the student, causal or seq2seq: a model (LoRA around it too), a folder or a hub id.
        args: as of the Trainer; None: its own defaults.
        train_dataset: rows as everywhere in limbeck: a `Dataset`, a DataFrame, a list of dicts or a path.
        eval_dataset: the same, or several by name; `evaluate` gives the loss on them.
        teacher: like `model`; None where no objective reads one.
        processing_class: the student's tokenizer; None: the one that lies where the model came from.
        teacher_processing_class: the teacher's; None: the one where it came from, or the student's.
        objective: a name (`limbeck list objectives`), `{"name": "jsd", "beta": 0.5, "weight": 0.7}`, or
            several of them.
        max_length: tokens of a row, at most; None: 1024, or what the models can read.
        loss_on: `all_assistant`, `last_assistant` or `all`.
        packing: lay rows end to end up to `max_length`; the batch size then counts packs.
        callbacks: as of the Trainer.
        optimizers: as of the Trainer.

    Raises:
        UserError: rows, models or objectives do not go together.
    """

    def __init__(
        self,
        model: PreTrainedModel | str,
        args: TrainingArguments | None = None,
        train_dataset: Any = None,
        eval_dataset: Any = None,
        *,
        teacher: PreTrainedModel | str | None = None,
        processing_class: PreTrainedTokenizerBase | None = None,
        teacher_processing_class: PreTrainedTokenizerBase | None = None,
        objective: Objective | Sequence[Objective] = "forward_kl",
        max_length: int | None = None,
        loss_on: LossOn = "all_assistant",
        packing: bool = False,
        callbacks: list[TrainerCallback] | None = None,
        optimizers: tuple[Any, Any] = (None, None),
    ) -> None:
        args = args or TrainingArguments("tmp_trainer")
        if train_dataset is None:
            raise ConfigError("train_dataset must be given, got None.")
        student, self._tokenizer = _model(model, processing_class)
        taught, own = None, None
        if teacher is not None:
            taught, own = _model(teacher, teacher_processing_class, instead=self._tokenizer)
        self._config = student.config
        self._step = _step(
            student,
            taught,
            objective,
            max_length=max_length,
            loss_on=loss_on,
            packing=packing,
            seed=args.seed,
        )
        self._rendering = rendering_of(self._step, _kind(student), task="default", label_names=())
        self._teachers = own
        party = _party(self._step, student, taught, (self._tokenizer, own), args)
        held_out = (
            {name: self._source_of(one) for name, one in eval_dataset.items()}
            if isinstance(eval_dataset, dict)
            else None
            if eval_dataset is None
            else self._source_of(eval_dataset)
        )
        super().__init__(
            party,
            self._source_of(train_dataset),
            args=args,
            held_out=held_out,
            options={
                "processing_class": self._tokenizer,
                "callbacks": callbacks,
                "optimizers": optimizers,
            },
        )

    def get_eval_dataloader(self, eval_dataset: Any = None) -> DataLoader[Any]:
        """Batches of held-out rows, which may be given as `train_dataset` is."""
        known = eval_dataset is None or hasattr(eval_dataset, "batch")
        known = known or (isinstance(eval_dataset, str) and isinstance(self.eval_dataset, dict))
        return super().get_eval_dataloader(eval_dataset if known else self._source_of(eval_dataset))

    def _source_of(self, data: Any) -> Source:
        path = str(data) if isinstance(data, str | Path) else str(kept_rows(data, "train_dataset"))
        rows = load_rows(path)
        rendered = render(rows, self._tokenizer, self._rendering)
        if self._teachers is not None and not writes_alike(self._tokenizer, self._teachers):
            own = render(rows, self._teachers, self._rendering)
            if own["input_ids"] != rendered["input_ids"]:
                raise ConfigError(
                    "teacher_processing_class must write rows as processing_class does, got another chat "
                    "template: the teacher would read the student's format. Let each read its own with "
                    "limbeck.run, or give the student's tokenizer for both."
                )
        for note in notes_of(rendered):
            log.warning(note)
        return training_source(rendered, self._rendering, self._step, self._tokenizer, self._config)


def _step(student: Any, teacher: Any, objective: Any, **fields: Any) -> Train:
    """The train step of a recipe that says the same."""
    kind = _kind(student)
    if not kind_named(kind).writes:
        name = type(student).__name__
        raise ConfigError(f"model must be {kinds_that('writes')}, got a {name}. Use limbeck.run.")
    listed = [objective] if isinstance(objective, str | Term | Mapping) else objective
    given = {
        "out": "student",
        "student": "student",
        "teacher": None if teacher is None else "teacher",
        "rows": "rows.train",
        "objective": [{"name": one} if isinstance(one, str) else one for one in listed],
        "model_kind": kind,
        **fields,
    }
    longest = _length(student, teacher)
    step = validate(Train, {**given, "max_length": fields["max_length"] or min(_LONGEST, longest)})
    problems = list(step.inner_problems())
    if step.max_length > longest:
        message = f"must be at most {longest}, the positions of the models, got {step.max_length}."
        problems.append(Problem("max_length", message))
    if teacher is None and step.reads_teacher:
        problems.append(Problem("teacher", f"must be given, {', '.join(step.reads_teacher)} reads it."))
    if problems:
        raise ConfigError(problems)
    return step


def _party(
    step: Train, student: Any, teacher: Any, tokenizers: tuple[Any, Any], args: TrainingArguments
) -> Party:
    """The student with its terms and its teacher."""
    vocabulary = None
    if teacher is not None:
        sizes = [one.config.get_text_config().vocab_size for one in (student, teacher)]
        vocabulary = shared_vocabulary(*tokenizers, *sizes).size
    widths = [one and one.config.get_text_config().hidden_size for one in (student, teacher)]
    terms = build_terms(step.objective, student_width=widths[0], teacher_width=widths[1], seed=step.seed)
    for term in terms:
        try_term(term, student_width=widths[0], teacher_width=widths[1] or widths[0])
    reader = ForwardModel(student, vocabulary).probe()
    balance = router_term(step.router_aux_loss_coef, reader.plain)
    criterion = Criterion(terms if balance is None else [*terms, balance])
    for model in (student, teacher) if step.packing and kind_named(step.model_kind).packs else ():
        if model is not None and not reads_packs(model, len(tokenizers[0])):
            name = type(model).__name__
            raise ConfigError(f"packing must be False: a {name} lets the rows of a pack see each other.")
    answer = None
    if teacher is not None:
        live = LocalTeacher(teacher, vocabulary).to(args.device)
        answer = partial(live.answer, needs=criterion.teacher_needs)
    return Party("student", student, reader, criterion, TrainingSettings(), answer)


def _model(given: Any, tokenizer: Any, *, instead: Any = None) -> tuple[Any, Any]:
    """The model, and a tokenizer that can pad."""
    model = given
    if isinstance(given, str | Path):
        tokenizer = tokenizer or load_tokenizer(given)
        # A teacher is read as it was saved; what is trained is float32.
        model = load_model(given, kind_of(read_config(given)), dtype="float32" if instead is None else "auto")
    if tokenizer is None:
        tokenizer = tokenizer_of(model, "model" if instead is None else "teacher", instead)
    if tokenizer.pad_token_id is None:
        tokenizer = copy.deepcopy(tokenizer)
        tokenizer.pad_token = tokenizer.eos_token
    return model, tokenizer


def _kind(model: Any) -> KindName:
    """What a model in memory is; its configuration says so only once it is saved."""
    config = copy.copy(model.config)
    config.architectures = [type(getattr(model, "get_base_model", lambda: model)()).__name__]
    return kind_of(config)


def _length(*models: Any) -> int:
    """The longest row that all can read."""
    limits = [positions_of(model.config) for model in models if model is not None]
    return min([limit for limit in limits if limit], default=sys.maxsize)
