"""Noise on inputs: how much, on what, and who reads it."""

import pytest
import torch
from safetensors.torch import load_file

import limbeck
from limbeck.core.batch import Batch
from limbeck.core.errors import ConfigError
from limbeck.core.needs import DISTRIBUTION, Needs
from limbeck.core.outputs import Outputs
from limbeck.recipes.batches import NamedTransform, WordDropout
from limbeck.recipes.check import check
from limbeck.recipes.model import Recipe
from limbeck.recipes.teachers import StoredTeacher
from limbeck.runs.assembly.transforms.word_dropout import TokenNoise
from limbeck.runs.record.progress import Silent
from tests.engine.world import ROWS, Rows
from tests.runs.on_policy import changed, tiny_recipe

NOISE, SPECIAL = 60, [0, 4, 5]


def noise(seed: int = 0, **settings) -> TokenNoise:
    """Everything is replaced by one id, so that it shows."""
    return TokenNoise(WordDropout(**{"share": 0.3, **settings}), torch.tensor([NOISE]), SPECIAL, seed)


def rows(made: list[Batch]) -> dict[str, list[int]]:
    """Ids of each row without padding."""
    found = {}
    for batch in made:
        for line, (name,) in enumerate(batch.row_ids):
            length = int(batch.inputs["attention_mask"][line].sum())
            found[name] = batch.inputs["input_ids"][line, :length].tolist()
    return found


def test_a_share_of_the_tokens_is_replaced_and_targets_padding_and_special_tokens_stay():
    clean, replaced, tokens = Rows().batch(range(ROWS)), 0, 0
    for step in range(40):
        (noisy,) = noise()([clean], step, 40)
        assert torch.equal(noisy.targets, clean.targets)
        before, after = clean.inputs["input_ids"], noisy.inputs["input_ids"]
        changed = before != after
        assert (after[changed] == NOISE).all()
        free = ~torch.isin(before, torch.tensor(SPECIAL)) & (before != NOISE)
        assert not changed[~free].any()
        replaced, tokens = replaced + int(changed.sum()), tokens + int(free.sum())
    # Four deviations of a share of about 9,000 draws are 0.02.
    assert replaced / tokens == pytest.approx(0.3, abs=0.02)


def test_a_row_meets_the_same_noise_in_every_micro_batch_and_another_in_the_next_step():
    whole = rows(noise()([Rows().batch(range(8))], 2, 9))
    parts = rows(noise()([Rows().batch([5, 2, 7]), Rows().batch([0]), Rows().batch([6, 4, 3, 1])], 2, 9))
    assert whole == parts
    assert whole != rows(noise()([Rows().batch(range(8))], 3, 9))
    assert whole != rows(noise(seed=1)([Rows().batch(range(8))], 2, 9))


@pytest.mark.parametrize(("reads", "clean"), [("clean", True), ("noisy", False)])
def test_the_teacher_reads_the_rows_as_they_were_unless_it_is_to_read_noise(reads, clean):
    def ask(batch: Batch, needs: Needs) -> Outputs:
        return Outputs(logits=batch.inputs["input_ids"])

    transform, batch = noise(teacher_reads=reads), Rows().batch(range(6))
    (noisy,) = transform([batch], 0, 9)
    expected = (batch if clean else noisy).inputs["input_ids"]
    assert torch.equal(transform.asking(ask)(noisy, DISTRIBUTION).logits, expected)


def with_noise(recipe: Recipe, **settings) -> Recipe:
    named = NamedTransform(word_dropout=WordDropout(**{"share": 0.4, **settings}))
    return changed(recipe, "student", batches=(named,))


def test_a_recipe_says_it_in_a_list_and_trains(world, tmp_path):
    recipe = with_noise(tiny_recipe("taid", world, max_steps=2))
    named = [step["train"].get("batches") for step in recipe.to_data()["steps"] if "train" in step]
    noise = {"share": 0.4, "replacement": "random", "teacher_reads": "clean"}
    assert [{"word_dropout": noise}] in named
    assert Recipe.from_yaml(recipe.to_yaml()) == recipe
    weights = []
    for name, one in (("plain", tiny_recipe("taid", world, max_steps=2)), ("noisy", recipe)):
        run = limbeck.run(one, tmp_path / name, progress=Silent())
        weights.append(load_file(run.folder / "student" / "model.safetensors"))
    plain, noisy = weights
    assert not all(torch.equal(noisy[name], plain[name]) for name in plain)


def test_it_refuses_rollouts_and_stores_of_what_they_cannot_know(world):
    (problem,) = check(with_noise(tiny_recipe("gkd", world)))
    assert problem.where.endswith("train.batches.0.word_dropout") and "rollouts" in problem.message
    taught = changed(tiny_recipe("taid", world), "student", teacher=StoredTeacher(signals="store"))
    (problem,) = check(with_noise(taught, teacher_reads="noisy"))
    assert "lets the teacher read noise, and the store 'store' gives" in problem.message
    assert not check(with_noise(taught))


def test_settings_out_of_range_and_unknown_transforms_are_named_by_their_places(world):
    data = with_noise(tiny_recipe("taid", world)).to_data()
    (step,) = [step["train"] for step in data["steps"] if step.get("train", {}).get("out") == "student"]
    step["batches"] = [{"word_dropout": {"share": 2}}, {"word_dropuot": {}}]
    with pytest.raises(ConfigError) as caught:
        Recipe.from_data(data)
    said = "\n".join(map(str, caught.value.problems))
    assert "batches.0.word_dropout.share: must be less than 1, got 2." in said
    assert "Did you mean 'word_dropout'?" in said
