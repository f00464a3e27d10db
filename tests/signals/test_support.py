"""The likeliest ids of a position, chosen in two stages where a vocabulary is large."""

import torch

from limbeck.core.outputs import Outputs
from limbeck.signals.support import top_of

KEPT = 7


def top(logits):
    everything = torch.ones(1, len(logits), dtype=torch.bool)
    return top_of(Outputs(logits=logits.clone()[None]), everything, most=KEPT)


def test_ids_and_log_probs_are_those_of_the_whole_vocabulary_whatever_its_size():
    for vocabulary in (50, 5_003):  # the second is cut into groups, and three ids are left over
        logits = 3 * torch.randn(6, vocabulary, generator=torch.Generator().manual_seed(0))
        # Neighbours, ids of one group (625 apart) and the very last id.
        logits[0, -1] = 40.0
        logits[1, :KEPT] += 40.0
        logits[2, ::625] += 40.0
        found = top(logits)
        expected = logits.double().log_softmax(-1).sort(-1, descending=True)
        assert torch.equal(torch.from_numpy(found.ids).long(), expected.indices[:, :KEPT])
        torch.testing.assert_close(
            torch.from_numpy(found.log_probs).double(), expected.values[:, :KEPT], atol=1e-5, rtol=0
        )
