"""The teacher store: bytes and KL beside DistillKit's codec, decoding, capture and step, in one run.

    python benchmarks/store.py [--teacher DIR --text FILE.parquet] [--distillkit CHECKOUT] [--json FILE]
    python benchmarks/store.py --large    # what a capture adds to a teacher of 152 million parameters

Without `--teacher` the shipped code teacher reads held-out files of the standard library;
`benchmarks/small_teacher.py` trains one with a larger vocabulary. `--distillkit` is a checkout of
arcee-ai/DistillKit; without it its rows are left out. Codebooks, once a store, are not in the bytes;
they are learnt on three quarters of the positions, and the rest is measured. KL is KL(teacher || stored)
in nats over kept ids and one bucket for all others: `on its own` on each codec's kept ids, `on our ids` on
those of 0.999/64 with a bucket. Speeds are positions a second of one core's time; encoding during a capture
has a thread of its own.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from datasets import Dataset
from measure import machine, write_result
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from limbeck.assets import asset_path
from limbeck.core.batch import Batch
from limbeck.core.forward_model import ForwardModel, project
from limbeck.core.masks import IGNORE
from limbeck.core.needs import DISTRIBUTION
from limbeck.core.term import Term
from limbeck.core.training import TrainingSettings
from limbeck.engine import Party, train
from limbeck.objectives import cross_entropy, forward_kl
from limbeck.objectives.criterion import Criterion
from limbeck.rows.render import render
from limbeck.rows.rendering import Rendering
from limbeck.rows.source import PackedSource, PaddedSource
from limbeck.rows.standard_library import standard_library_files
from limbeck.signals import codec_topk
from limbeck.signals.capture import capture
from limbeck.signals.manifest import Identity
from limbeck.signals.payload import Payload, TopKPayload
from limbeck.signals.reader import Signals
from limbeck.signals.rehearse import kept_kl
from limbeck.signals.support import Draws, Top, support_of, top_of, topk_of
from limbeck.teachers import LocalTeacher, StoredTeacher

LENGTH = 256
# README of arcee-ai/DistillKit at a61c2e7, "Recommended configuration" and "budget pick".
DISTILLKIT: dict[str, dict[str, Any]] = {
    "DistillKit recommended": {"k": 128, "exact_k": 16, "polynomial_terms": [0, 1, 2, 3, 4, "sqrt"]},
    "DistillKit budget": {"k": 50, "exact_k": 1, "polynomial_terms": [0, 1, "sqrt"]},
}
SHARED = {"exact_dtype": "bfloat16", "term_dtype": "float32", "residual_bins": [], "delta_encoding": False}
OURS = {
    "limbeck 0.999/64": TopKPayload(max=64),
    "limbeck 0.999/64, bucket": TopKPayload(max=64, draws=0),
    "limbeck 0.999/128": TopKPayload(max=128),
    "limbeck 0.999/50": TopKPayload(max=50),
}
DEFAULT = OURS["limbeck 0.999/64"]
LOSSES: dict[str, Any] = {
    "alone": (cross_entropy, ("student_logits", "labels")),
    "store": (forward_kl, ("student_logits", "teacher_logits")),
}
ROUNDS, STEPS = 3, 8
TURNS = 7  # of the parts of a capture
TINY = 1e-12


def main() -> None:
    """Read the command line, measure, print, write."""
    parser = argparse.ArgumentParser(description="Measure the teacher store.")
    parser.add_argument("--teacher", type=Path, help="a folder; default: the shipped code teacher")
    parser.add_argument("--text", type=Path, help="Parquet file with a column text that it reads")
    parser.add_argument("--distillkit", type=Path, help="a checkout of arcee-ai/DistillKit")
    parser.add_argument("--positions", type=int, default=32_768)
    parser.add_argument("--large", action="store_true", help="only what a capture adds to a large teacher")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.large:
        print(json.dumps(large_capture()))
        return
    place = options.teacher or asset_path("code_teacher")
    model = AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(place)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    texts = pq.read_table(options.text)["text"].to_pylist() if options.text else _library()
    rows = Dataset.from_list([{"id": str(n), "text": text} for n, text in enumerate(texts)])
    rendering = Rendering(model_kind="causal", max_length=LENGTH)
    rendered = render(rows, tokenizer, rendering)
    wanted = np.cumsum([len(ids) for ids in rendered["input_ids"]])
    rendered = rendered.select(range(int((wanted <= options.positions).sum())))
    vocabulary = min(model.config.vocab_size, 1 + max(tokenizer.get_vocab().values()))
    teacher = LocalTeacher(model, vocabulary)
    source = PaddedSource(rendered, rendering, tokenizer.pad_token_id)
    packed = PackedSource(rendered, rendering, LENGTH, 0, tokenizer.pad_token_id)
    print(f"{place}: {vocabulary:,} ids, {len(source):,} rows, {sum(source.lengths):,} tokens", flush=True)
    tops = {name: _top(teacher, source, kept) for name, kept in OURS.items()}
    result: dict[str, Any] = {"vocabulary": vocabulary, "tokens": sum(source.lengths), **machine("cpu")}
    result["codecs"] = codecs(tops, vocabulary, options.distillkit)
    _table(result["codecs"])
    with tempfile.TemporaryDirectory() as folder:
        batch = source.batch(range(min(len(source), 8)))
        result["capture"] = capture_overhead(teacher, batch, vocabulary)
        print(json.dumps(result["capture"]), flush=True)
        _captured(teacher, source, vocabulary, Path(folder) / "store")
        result["step"] = step_overhead(vocabulary, packed, Path(folder))
        print(json.dumps(result["step"]), flush=True)
    if options.json:
        write_result(options.json, result)


def codecs(tops: dict[str, Top], vocabulary: int, checkout: Path | None) -> dict[str, dict[str, float]]:
    """Bytes, KL and speed of every codec on the same positions."""
    found = {}
    reference = support_of(tops["limbeck 0.999/64, bucket"], mass=DEFAULT.mass, vocabulary=vocabulary)
    for name, kept in OURS.items():
        found[name] = _ours(tops[name], vocabulary, kept, reference)
    top = tops["limbeck 0.999/128"]
    for name, settings in DISTILLKIT.items() if checkout else ():
        found[name] = _theirs(checkout, top, vocabulary, settings, reference)
    return found


def _ours(top: Top, vocabulary: int, kept: TopKPayload, reference: codec_topk.Support) -> dict[str, float]:
    support = support_of(top, mass=kept.mass, vocabulary=vocabulary)
    count = len(support.counts)
    half = count * 3 // 4  # measured on others than it is learnt from, as later shards are
    learnt_from, measured = _rows(support, range(half)), _rows(support, range(half, count))
    book = codec_topk.learn_codebook(
        learnt_from, vocabulary=vocabulary, quantisation=kept.quantisation, most=kept.max, positions=10**6
    )
    sizes = [LENGTH] * (len(measured.counts) // LENGTH)
    measured = _rows(measured, range(sum(sizes)))
    started = time.process_time()
    streams = codec_topk.encode(book, measured, sizes)
    encoding = time.process_time() - started
    stored = codec_topk.decode(book, streams)
    assert (stored.ids == measured.ids).all()
    size = sum(len(one) for column in streams.values() for one in column)

    def read() -> None:
        for start in range(0, len(sizes), 8):
            topk_of(
                codec_topk.decode(book, {name: column[start : start + 8] for name, column in streams.items()})
            )

    lost = kept_kl(measured, stored)
    return {
        "bytes": size / sum(sizes),
        "codebook": book.lists.ids.size * 4,
        "ids": float(measured.counts.mean()),
        "drawn": float(measured.is_drawn.sum() / len(measured.counts)),
        "kl_own": float(lost.mean()),
        "kl_own_worst": float(lost.max()),
        "kl_same": _coarse(
            measured.kept(), stored.kept(), _rows(reference, range(half, half + sum(sizes))).counts
        ),
        "encode": sum(sizes) / encoding,
        "decode": sum(sizes) / _best(read),
    }


def _theirs(
    checkout: Path, top: Top, vocabulary: int, settings: dict[str, Any], reference: codec_topk.Support
) -> dict[str, float]:
    sys.path.insert(0, str(checkout))
    from distillkit.compression.compressor import LogprobCompressor
    from distillkit.compression.config import DistributionQuantizationConfig

    config = DistributionQuantizationConfig(d=vocabulary, error_diffusion=False, **SHARED, **settings)
    codec, k = LogprobCompressor(config), settings["k"]
    count = min(2048, len(top.ids))  # it needs half a millisecond a position
    ids, log_probs = torch.from_numpy(top.ids[:count, :k]).long(), torch.from_numpy(top.log_probs[:count, :k])
    started = time.process_time()
    row = codec.compress_from_sparse(ids, log_probs)
    encoding = time.process_time() - started
    found_ids, found = codec.decompress_to_sparse(row)
    assert torch.equal(found_ids.sort().values, ids.sort().values), "its ids are exact; ties change places"
    q = found.double().exp().numpy()
    counts = np.full(count, k)
    exact = codec_topk.Support(
        counts,
        top.ids[:count, :k].ravel(),
        log_probs.double().numpy().ravel(),
        _log_rest(log_probs.double().exp().numpy()),
    )
    rest = _log_rest(q)
    total = np.log(q.sum(1) + np.exp(rest))[:, None]
    stored = codec_topk.Support(counts, exact.ids, (np.log(q) - total).ravel(), rest - total[:, 0])
    lost = kept_kl(exact, stored)
    return {
        "bytes": float(sum(part.shape[-1] for part in row.values())),
        "codebook": 0,
        "ids": float(k),
        "kl_own": float(lost.mean()),
        "kl_own_worst": float(lost.max()),
        "kl_same": _coarse(exact, stored, np.minimum(reference.counts[:count], k)),
        "encode": count / encoding,
        "decode": count / _best(lambda: codec.decompress_to_sparse(row), 2),
    }


def capture_overhead(teacher: LocalTeacher, batch: Any, vocabulary: int) -> dict[str, float]:
    """What a capture adds to the forward to logits, in microseconds of the processor a position.

    The parts are measured in turns on one batch, so that what else the machine does falls on all of them.
    """
    count = int(batch.loss_mask.sum())
    answer = teacher.answer(batch, DISTRIBUTION)
    draws = Draws(DEFAULT.mass, DEFAULT.most_draws, np.random.default_rng(0).random(count))

    def project_all() -> None:
        assert answer.hidden is not None and answer.head is not None
        for part in answer.hidden[batch.loss_mask].split(max(1, 2**24 // vocabulary)):
            project(part, answer.head)

    top = top_of(answer, batch.loss_mask, most=DEFAULT.max, draws=draws)
    support = support_of(top, mass=DEFAULT.mass, vocabulary=vocabulary)
    book = codec_topk.learn_codebook(
        support, vocabulary=vocabulary, quantisation=DEFAULT.quantisation, most=DEFAULT.max, positions=10**6
    )

    def write() -> None:
        found = support_of(top, mass=DEFAULT.mass, vocabulary=vocabulary)
        codec_topk.encode(book, found, [count])

    works = {
        "forward": lambda: teacher.answer(batch, DISTRIBUTION),
        "project": project_all,
        "choose": lambda: top_of(answer, batch.loss_mask, most=DEFAULT.max, draws=draws),
        "write": write,
    }
    rounds = [{name: 1e6 * _best(work, 1) / count for name, work in works.items()} for _ in range(TURNS)]
    found = {f"{name}_us": float(np.median([one[name] for one in rounds])) for name in works}
    shares = [
        (one["choose"] - one["project"] + one["write"]) / (one["forward"] + one["project"]) for one in rounds
    ]
    return {**found, "share": float(np.median(shares)), "least": min(shares), "most": max(shares)}


def large_teacher() -> LlamaForCausalLM:
    """12 layers of 768 and GPT-2's 50,257 ids, 152 million random weights."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=50_257,
        hidden_size=768,
        intermediate_size=3072,
        num_hidden_layers=12,
        num_attention_heads=12,
        max_position_embeddings=512,
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config).eval()


def large_capture() -> dict[str, float]:
    """What a capture adds to a teacher of more than 100 million parameters."""
    model = large_teacher()
    ids = torch.randint(3, 50_257, (4, LENGTH), generator=torch.Generator().manual_seed(0))
    targets = torch.cat([ids[:, 1:], torch.full((4, 1), IGNORE)], 1)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    return capture_overhead(LocalTeacher(model, 50_257), Batch(inputs, targets, [("row",)] * 4), 50_257)


def step_overhead(vocabulary: int, source: PackedSource, folder: Path) -> dict[str, float]:
    """Processor seconds of a student's step without a teacher, and from the store just captured."""
    teacher = StoredTeacher(Signals(folder / "store"), vocabulary)
    times: dict[str, list[float]] = {"alone": [], "store": []}
    batches = [source.batch(range(start, start + 4)) for start in range(0, min(len(source), 32) - 3, 4)]
    answering = _best(lambda: [teacher.answer(batch, DISTRIBUTION) for batch in batches]) / len(batches)
    for round_ in range(ROUNDS):
        for name in times:
            criterion = Criterion([Term("loss", *LOSSES[name])])
            student = _student(vocabulary)
            settings = TrainingSettings(max_steps=STEPS, per_device_train_batch_size=4, save_steps=None)
            answer = None if name == "alone" else lambda batch: teacher.answer(batch, DISTRIBUTION)
            reader = ForwardModel(student, vocabulary).probe()
            party = Party("student", student, reader, criterion, settings, answer)
            moments: list[float] = []
            place = folder / f"{name}-{round_}"
            place.mkdir()
            train(
                [party],
                source,
                folder=place,
                on_step=lambda report, moments=moments: moments.append(time.process_time()),  # type: ignore[misc]
            )
            times[name] += np.diff(moments)[1:].tolist()
    alone, store = (float(np.median(times[name])) for name in times)
    return {
        "alone_cpu_s": alone,
        "store_cpu_s": store,
        "overhead": store / alone - 1,
        "answer_cpu_s": answering,
        "answer_share": answering / alone,
    }


def _captured(teacher: LocalTeacher, source: PaddedSource, vocabulary: int, folder: Path) -> None:
    payload = Payload(topk=DEFAULT).for_store()
    capture(
        folder,
        Identity(1, "t", "w", "t", "c", "d", {}, payload, vocabulary, 16_384),
        tokens=source.lengths,
        batch_of=source.batch,
        answer=lambda batch: teacher.answer(batch, DISTRIBUTION),
        batch_tokens=32 * LENGTH,
    )


def _student(vocabulary: int) -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=256,
            intermediate_size=768,
            num_hidden_layers=4,
            num_attention_heads=4,
            max_position_embeddings=512,
            tie_word_embeddings=True,
        )
    )


def _top(teacher: LocalTeacher, source: PaddedSource, kept: TopKPayload) -> Top:
    batches = (
        source.batch(range(start, min(start + 16, len(source)))) for start in range(0, len(source), 16)
    )
    return Top.joined([_top_of(teacher, batch, kept) for batch in batches])


def _top_of(teacher: LocalTeacher, batch: Any, kept: TopKPayload) -> Top:
    uniforms = np.random.default_rng(0).random(int(batch.loss_mask.sum()))
    draws = Draws(kept.mass, kept.most_draws, uniforms)
    return top_of(teacher.answer(batch, DISTRIBUTION), batch.loss_mask, most=kept.max, draws=draws)


def _rows(support: codec_topk.Support, positions: range) -> codec_topk.Support:
    ends = np.concatenate([[0], np.cumsum(support.counts)])
    inside = slice(ends[positions.start], ends[positions.stop])
    here = slice(positions.start, positions.stop)
    return codec_topk.Support(
        support.counts[here],
        support.ids[inside],
        support.log_probs[inside],
        support.log_tails[here],
        None if support.draws is None else support.draws[here],
    )


def _coarse(exact: codec_topk.Support, stored: codec_topk.Support, counts: np.ndarray) -> float:
    """KL over the first `counts` ids of each position and a bucket for all others."""
    counts = np.minimum(counts, exact.counts)
    owners = np.repeat(np.arange(len(counts)), exact.counts)
    ranks = np.arange(len(owners)) - np.repeat(np.cumsum(exact.counts) - exact.counts, exact.counts)
    inside = ranks < counts[owners]
    held = []
    for one in (exact, stored):
        p = np.exp(one.log_probs.astype(np.float64))
        outside = np.bincount(owners, np.where(inside, 0, p), minlength=len(counts)) + np.exp(one.log_tails)
        held.append((one.log_probs, np.maximum(outside, TINY)))
    (log_p, p_rest), (log_q, q_rest) = held
    lost = np.bincount(owners, np.where(inside, np.exp(log_p) * (log_p - log_q), 0), minlength=len(counts))
    return float((lost + p_rest * np.log(p_rest / q_rest)).mean())


def _log_rest(p: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(1 - p.sum(1), 1e-9))


def _best(work: Callable[[], Any], times: int = 5) -> float:
    found = []
    for _ in range(times):
        started = time.process_time()
        work()
        found.append(time.process_time() - started)
    return min(found)


def _times(work: Callable[[], Any]) -> tuple[float, float]:
    """Seconds of the processor, and of the clock."""
    started = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - started[0], time.perf_counter() - started[1]


def _library() -> Sequence[str]:
    return [file.text for file in standard_library_files() if file.heldout]


def _table(found: dict[str, dict[str, float]]) -> None:
    titles = ("bytes", 8), ("ids", 7), ("KL on its own", 15), ("worst", 10), ("on our ids", 12)
    titles += ("decode/s", 12), ("encode/s", 11)
    print(" " * 24 + "".join(f"{title:>{width}}" for title, width in titles))
    for name, one in found.items():
        print(
            f"{name:24}{one['bytes']:8.1f}{one['ids']:7.1f}{one['kl_own']:15.1e}{one['kl_own_worst']:10.1e}"
            f"{one['kl_same']:12.1e}{one['decode']:12,.0f}{one['encode']:11,.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
