"""What a measuring recipe cannot measure is refused at plan, and its rows are named by the data."""

import json

import pytest

from limbeck.core.errors import ConfigError
from limbeck.runs.checking.plan import make_plan
from limbeck.runs.commands.evaluate import measuring
from tests import tiny


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(json.dumps({"text": f"the cat sat {n}"}) for n in range(8)))
    return str(path)


@pytest.mark.parametrize("metric", ["perplexity", "fidelity", "calibration", "generation", "classification"])
def test_an_encoder_is_planned_with_no_metric_of_tokens_or_classes(tmp_path, rows, metric):
    folder = tmp_path / "bert"
    tiny.tiny_bert().save_pretrained(folder)
    tiny.tiny_encoder_tokenizer().save_pretrained(folder)
    recipe = measuring(str(folder), rows, teacher=str(folder), baseline=None, inputs={"metrics": [metric]})
    with pytest.raises(
        ConfigError, match=f"must be similarity, speed for models of kind encoder, got {metric}"
    ):
        make_plan(recipe, tmp_path / "run")
    fitting = measuring(str(folder), rows, teacher=str(folder), baseline=None, inputs={})
    plan, _ = make_plan(fitting, tmp_path / "run")
    said = [step.what for step in plan.steps]
    assert said == [f"{rows}: 8 rows", f"similarity, speed on all rows of {rows}"]
