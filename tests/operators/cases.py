"""One small use of every operator; the shared battery finds the operators without one."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from limbeck import operators
from limbeck.core.asking import Reply, Request, ToolCall
from tests.operators.scripted import Answers, read_by


@dataclass(frozen=True)
class Case:
    """How an operator is tried.

    Attributes:
        row: that it is given; an operator of a pool is given `rows`.
        answers: of the teacher.
        options: of the operator.
        secret: words that only the teacher may read.
        asks: whether it asks at all.
    """

    row: Mapping[str, Any]
    answers: Answers
    options: Mapping[str, Any] = field(default_factory=dict)
    rows: Sequence[Mapping[str, Any]] = ()
    secret: str | None = None
    asks: bool = True


def numbered_answers(request: Request) -> Reply:
    """Another answer to every sample."""
    return Reply(f"answer {request.sample}")


def evolving(request: Request) -> str:
    """New instructions, verdicts that they are new, and answers."""
    read = read_by(request)
    if "Do these two prompts" in read:
        return "Yes" if "harder 2" in read else "No"
    return f"harder {request.sample}" if "the prompt below" in read else f"answer to {read}"


def instructing(request: Request) -> str:
    """Tasks in a list, what kind they are, and instances."""
    read = read_by(request)
    if "Go on with this list" in read:
        verbs = ("Describe", "Explain", "Compare", "Translate", "Invent", "Criticise")
        verb, place = verbs[request.sample % 6], request.sample
        task = f"9. {verb} the subject {place} of song {place * 7}\n10. Draw it now for me\n"
        return f"{task}11. Is it{place} a word{place}"
    if "Is it a classification?" in read:
        return "Yes" if read.rstrip().splitlines()[-2].startswith("Task: Is it") else "No"
    if "label first" in read or "first the label" in read:
        return "Class label: yes\nA\nClass label: no\nB"
    return "Example 1\nInput: x\nOutput: y\nExample 2\nInput: z:\nOutput: w"


def entities_in(request: Request) -> str:
    """Entities that stand in the texts below."""
    read = read_by(request)
    if "Ada" in read.rsplit("Text:")[-1]:
        return '[["Ada", "person"], ["Paris", "City"], ["Rome", "city"]]'
    return '[["May", "date"], ["June", "date"], ["Seine", "river"]]'


def scored(request: Request) -> str:
    """Answers that are numbered, and their numbers as scores."""
    read = read_by(request)
    found = re.search(r"Answer:\nanswer (\d)", read)
    return f"Fine. [[{int(found.group(1)) + 1}]]" if found else f"answer {request.sample}"


def talking(request: Request) -> str:
    """Both sides of a conversation, and its end."""
    read = read_by(request)
    if "what you say next" not in read:
        return f"answer {len(request.messages)}"
    return "[END]" if "answer 3" in read else "And then?"


def calling(request: Request) -> Reply:
    """A call of a function, and an answer from what it gave."""
    last = request.messages[-1]
    if last["role"] == "tool":
        return Reply(f"It is {last['content']}.")
    return Reply("", finish="tool_calls", tool_calls=(ToolCall("add", '{"a": 2, "b": 3}'),))


def continuing(request: Request) -> str:
    """Texts from a beginning, and sentences behind a context."""
    if request.text == "Abstract:":
        return f" One rose by {request.sample}. Two fell. And"
    return ("It fell a lot.", "It went down. Then", "It fell a lot.", "no sentence")[request.sample]


SEEDS = [{"id": f"s{place}", "prompt": f"seed number {place} about thing{place}"} for place in range(9)]

CASES: dict[str, Case] = {
    "answer": Case({"id": "a", "prompt": "p"}, numbered_answers, {"samples": 3}),
    "rationalise": Case(
        {"id": "a", "prompt": "p"},
        lambda request: f"Because {request.sample}.\nAnswer: {request.sample}",
        {"samples": 2, "sampling_temperature": 0.5},
        secret="step by step",
    ),
    "rationalise_wrong": Case(
        {"id": "a", "prompt": "17+25?", "completion": "41", "reference": "forty-two"},
        lambda request: "17 and 25 make it.\nAnswer: 42",
        secret="forty-two",
    ),
    "chain_of_density": Case(
        {"id": "a", "text": "A long text."},
        lambda request: f"summary of {len(read_by(request)) % 97}",
        {"rounds": 3},
        secret="missing in",
    ),
    "rewrite": Case(
        {"id": "a", "prompt": "p", "completion": "c"}, lambda request: "q", secret="in other words"
    ),
    "evolve": Case({"id": "a", "prompt": "p"}, evolving, {"rounds": 4}, secret="the prompt below"),
    "expand_self_instruct": Case(
        {}, instructing, {"target": 4, "requests_per_round": 2}, rows=SEEDS, secret="Go on with this list"
    ),
    "magpie": Case(
        {"id": "a", "system": "You like maths.", "topic": "maths"},
        lambda request: f"What is {request.sample}?" if request.text else "It is a number.",
        {"begin": "<|user|>\n", "samples": 3},
        secret="<|user|>",
    ),
    "extract_entities": Case(
        {},
        entities_in,
        rows=[{"id": "a", "text": "Ada saw Paris."}, {"id": "b", "text": "From May to June by the Seine."}],
        secret="List every entity",
    ),
    "judge": Case(
        {"id": "a", "prompt": "p", "completion": "answer 3"}, scored, secret="You judge answers strictly"
    ),
    "judge_pair": Case(
        {"id": "a", "prompt": "p", "chosen": "good", "rejected": "bad"},
        lambda request: "[[A]]" if "Answer A:\ngood" in read_by(request) else "[[B]]",
        secret="You compare answers strictly",
    ),
    "judging": Case(
        {"id": "a", "prompt": "p", "chosen": "good", "rejected": "bad"},
        lambda request: "Good. [[A]]" if "Answer A:\ngood" in read_by(request) else "Good. [[B]]",
    ),
    "preferences": Case(
        {"id": "a", "prompt": "p"}, scored, {"answers": 3}, secret="You judge answers strictly"
    ),
    "questions": Case(
        {"id": "a", "text": "Ink is a fluid."},
        lambda request: f"1. What is ink {request.sample}?\n2. Fluids.",
        {"samples": 2},
        secret="different questions",
    ),
    "conversation": Case({"id": "a", "prompt": "p"}, talking, secret="what you say next"),
    "tool_calls": Case({"id": "a", "prompt": "2+3?"}, calling, {"functions": ["tests.operators.tools:add"]}),
    "sentence_pairs": Case({"id": "a", "text": "Abstract:"}, continuing, {"contexts": 2, "candidates": 4}),
    "verbalise": Case(
        {"id": "a", "words": ["sum", "42"], "boxes": [[0, 0, 3, 1], [10, 0, 12, 1]], "question": "Sum?"},
        lambda request: "",
        asks=False,
    ),
    "retrieve": Case(
        {},
        lambda request: "",
        {"corpus": str(Path(__file__).parent / "corpus.csv"), "top": 2},
        rows=[{"id": "a", "question": "Who lives in Rome?", "answer": "Ada"}],
        asks=False,
    ),
    "retrieve_answer": Case(
        {},
        lambda request: 'It is said "so".\nAnswer: yes',
        {"distractors": 1, "without": 0.5},
        rows=[
            {
                "id": str(place),
                "question": f"q{place}",
                "documents": [f"so {place}", f"no {place}"],
                "helpful": [0],
            }
            for place in range(3)
        ],
        secret="quotation marks",
    ),
}


def operator(name: str) -> Callable[..., Any]:
    """An operator by its name."""
    return getattr(operators, name)
