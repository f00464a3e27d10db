"""Agents: a teacher solves tasks with functions, and the student learns what it thought and called.

FireAct (Chen et al. 2023, arXiv:2310.05915), AgentTuning (Zeng et al. 2023, arXiv:2310.12823;
THUDM/AgentTuning) and ToolLLM (Qin et al. 2023, arXiv:2307.16789), on the loop of ReAct (Yao et al. 2022,
arXiv:2210.03629): think, act, observe. Only the teacher's own turns are in the loss; what functions gave is
read alone. Traces whose last answer is wrong are left out, and general rows are mixed in, as AgentTuning
has it: four of five, from there. Departures:

- thoughts and calls are the turns of a conversation with tools, not a text of `Thought:` and `Action:`; the
  student's chat template writes them, and must know tools;
- one prompt and one way to act, where FireAct mixes three; no search tree of calls as ToolLLM has it: draw
  several traces of each task (`samples`) in its place;
- the baseline learns all traces that came to an end, the wrong ones among them, in as many steps: what the
  choice of right ones teaches is what differs. With `success: null` it learns the data's own answers,
  without functions;
- both students are measured turn by turn on right traces of held-out tasks. Neither is let loose on the
  functions here: serve it, and name its endpoint as the teacher of a step `elicit` with the same operator.

The functions run in this process and are trusted; they must give the same for the same arguments.
"""

from typing import Annotated, Literal

from pydantic import Field

from limbeck.recipes.calls import GateCall
from limbeck.recipes.comparison import compared
from limbeck.recipes.data import Data
from limbeck.recipes.elicited import Elicited
from limbeck.recipes.general import mixed
from limbeck.recipes.inputs import ROWS, Share
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Gate, Step


@compared(max_length=2048, per_device_train_batch_size=8)
def agent(
    common: Elicited,
    *,
    functions: list[str],
    success: Literal["exact_match", "math_equal"] | None = "exact_match",
    general: Data | None = None,
    general_share: Share = 0.8,
    prompt: str = "agent",
    rounds: Annotated[int, Field(ge=1)] = 8,
    seconds: Annotated[float, Field(gt=0)] = 10.0,
    samples: Annotated[int, Field(ge=1)] = 1,
    max_new_tokens: Annotated[int, Field(ge=1)] = 1024,
    sampling_temperature: Annotated[float, Field(ge=0)] = 0.0,
) -> Recipe:
    """Cross-entropy with a teacher's turns in traces that end with the right answer.

    Args:
        functions: what the teacher may call, `module:function` each; type hints and docstrings are what it
            reads.
        success: the gate that compares a trace's last answer with the row's own; null: every trace counts
            as right.
        general: rows of other skills that are mixed in: a file, a folder or a hub id.
        general_share: of them in what is learnt.
        prompt: how the teacher is asked; the student reads the task alone.
        rounds: answers of the teacher in a trace at most.
        seconds: that one call of a function may take.
        samples: traces of each task; needs a sampling_temperature.
        max_new_tokens: of one answer of the teacher.
    """
    operator = {
        "name": "tool_calls",
        "functions": list(functions),
        "prompt": prompt,
        "rounds": rounds,
        "seconds": seconds,
        "max_new_tokens": max_new_tokens,
        "sampling_temperature": sampling_temperature,
    }
    gates = () if success is None else (GateCall(name=success),)
    making: list[Step] = [common.elicited(operator, out="attempts", samples=samples)]
    if gates:
        making.append(Gate(out="traces", rows="attempts", gates=gates))
    making.append(common.elicited(operator, out="unseen", rows="rows.heldout", gates=gates))
    compares = bool(gates) and common.baseline
    own = ("traces" if gates else "attempts", *(("attempts",) if compares else ()))
    steps, learnt = mixed(common, own, general, general_share)
    return common.recipe(
        "agent",
        (*making, *steps),
        learnt=learnt[0],
        compared=learnt[1] if compares else ROWS,
        rows="unseen",
        metrics=("perplexity", "speed"),
    )
