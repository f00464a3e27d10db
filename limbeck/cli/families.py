"""Recipes by what they are for, in a line each, as `limbeck list` and the README show them."""

from collections.abc import Mapping

FAMILIES: Mapping[str, Mapping[str, str]] = {
    "no teacher": {
        "sft": "cross-entropy with the data: every comparison's baseline",
    },
    "the teacher's distributions, on the data": {
        "word_kd": "forward KL from the teacher at every token",
        "taid": "a target that slides from the student to the teacher",
        "akl": "forward and reverse KL, weighed by where the gap is",
        "decoupled_kd": "the label and the other tokens, weighed apart",
        "ctkd": "a temperature that is learned against the student",
        "ddk": "more rows of the domains in which the student lags",
    },
    "texts that teacher or student generate": {
        "seq_kd": "cross-entropy with the teacher's completions",
        "gkd": "a divergence on a mixture of data and student samples",
        "on_policy": "reverse KL on student samples, as a policy gradient",
        "distillm": "skewed KL, with student samples as needed and reused",
        "distillm2": "teacher's answers pulled up, student's pushed down",
        "minillm": "reverse KL of whole sequences, by policy gradient",
        "semantic_revision": "student samples corrected by the teacher, span relations",
    },
    "answers of a teacher behind a wire": {
        "document_understanding": "pages as text on a grid, easy ones first",
        "frontier": "answers to better prompts, learnt at the plain question",
        "source_matters": "a student for each of several teachers' right answers",
        "ded": "the best of several teachers, on hard questions, few rows",
    },
    "fewer rows": {
        "dataset_distillation": "few rows that stand for all, with the teacher's labels",
    },
    "teacher and student with different tokenizers": {
        "alm": "likelihoods of chunks of text; also moves models to bytes",
        "min_edit": "the teacher's scores for the ids of nearest spelling",
        "uld": "the shape of the distribution, whatever its ids",
        "dskd": "each model through the other's head",
    },
    "rows that a teacher behind a wire makes": {
        "self_instruct": "new tasks with solutions, from a few that people wrote",
        "conversation": "conversations that the teacher has with itself",
        "universal_ner": "entities of any type, asked for one type after another",
        "impossible": "paraphrases by chance of a weak model, which critics find",
        "domain": "judged answers about the texts of a domain, such as law",
    },
    "the student as its own teacher": {
        "self_improve": "right answers of its own (STaR), or data over them (SPIN)",
    },
    "judgements of a teacher": {
        "feedback": "the student's answers, judged, and learnt as preferences",
        "judge": "a student that judges two answers as its teacher does",
    },
    "agents and retrieval": {
        "agent": "thoughts and calls of functions, of solved tasks",
        "rag": "answers from documents, read among others that do not help",
    },
    "rationales and reasoning traces": {
        "step_by_step": "label and rationale as two tasks",
        "redi": "right traces up, then wrong ones down",
    },
    "encoders and classifiers": {
        "pkd": "scores and hidden states on a labelled task",
        "cost_effective": "corrected scores, then labels, on a labelled task",
        "dynamic_kd": "the student's uncertainty decides who teaches what",
        "minilm": "relations among queries, keys and values, on plain text",
    },
    "studies, and a first run": {
        "quickstart": "a small code model, offline on a laptop in three minutes",
        "capacity_gap": "one student from teachers of several sizes",
        "fidelity_study": "divergences, temperatures, noisy teachers compared",
        "teacher_hacking": "does the student leave the truth for its teacher?",
    },
}

MODELS: Mapping[str, str] = {
    "no teacher": "causal, seq2seq",
    "teacher and student with different tokenizers": "causal, [any two tokenizers](docs/tokenizers.md)",
    "rows that a teacher behind a wire makes": "causal, seq2seq; the teacher: any that writes",
    "rationales and reasoning traces": "causal, seq2seq",
    "encoders and classifiers": "encoders",
}
"""Models that the recipes of a family are for, as the README says it; causal ones if not named."""
