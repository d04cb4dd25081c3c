"""A network of the same make that has learned labels at random: maps that stay the same do not depend on the labels.

Adebayo et al. 2018, arXiv:1810.03292, section 5. Only small networks can be trained again beside a measurement.

Legend: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from scanlens.callbacks.case_choice import random_order
from scanlens.explain.asking import probabilities_of
from scanlens.pipeline.build import rebuild_network
from scanlens.pipeline.explanations.card.budget import Prices
from scanlens.pipeline.explanations.subject import Subject
from scanlens.seeds import derived_seed

NUM_IMAGES, BATCH, MOST_EPOCHS = 128, 32, 60
LEARNING_RATE = 2e-3
WANTED_ACCURACY = 0.9
BUDGET_S = 60.0


@dataclass(frozen=True, slots=True)
class Shuffled:
    """The network, or None and why there is none.

    Args:
        network: trained on labels at random; None if it was not, or did not learn them.
        reason: why there is no network, or "".
        num_images: training images.
        accuracy: share of their random labels that it has learned; None if it was not trained.
    """

    network: nn.Module | None
    reason: str
    num_images: int = 0
    accuracy: float | None = None


def shuffled_labels_network(subject: Subject, prices: Prices) -> Shuffled:
    """Train a network of the run's make on a few training images whose labels were dealt anew, until it knows them."""
    needed_s = NUM_IMAGES * MOST_EPOCHS * prices.map_s
    if needed_s > BUDGET_S:
        return Shuffled(None, f"training this network again costs more than the {BUDGET_S:.0f} s allowed for it")
    rows = [row for row in subject.run.split_rows if row["split"] == "train" and row["target"] in subject.class_names]
    drawn = sorted(({"case": f"train-{row['index']}"} | row for row in rows), key=random_order(subject.seed))[
        :NUM_IMAGES
    ]
    if len({row["target"] for row in drawn}) < 2:
        return Shuffled(None, "the training images drawn are all of one class, so labels cannot be dealt anew")
    seed = derived_seed(subject.seed, NUM_IMAGES)
    x_BCHW, _ = subject.images(drawn)
    dealt = torch.randperm(len(drawn), generator=torch.Generator().manual_seed(seed))
    label_B = subject.classes(drawn, "target")[dealt].to(x_BCHW.device)
    network = _trained(_fresh(subject, seed), x_BCHW, label_B, seed=seed)
    accuracy = float((probabilities_of(network, x_BCHW).argmax(dim=1) == label_B.cpu()).double().mean())
    if accuracy < WANTED_ACCURACY:
        reason = f"a network of this make learned only {accuracy:.0%} of {len(drawn)} random labels"
        return Shuffled(None, reason, len(drawn), accuracy)
    return Shuffled(network, "", len(drawn), accuracy)


def _fresh(subject: Subject, seed: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return rebuild_network(subject.run.config).to(subject.device)


def _trained(network: nn.Module, x_BCHW: torch.Tensor, label_B: torch.Tensor, *, seed: int) -> nn.Module:
    """Until every batch of an epoch is named as dealt, or `MOST_EPOCHS`."""
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    network.train()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for _ in range(MOST_EPOCHS):
            num_right = 0
            for chosen_B in torch.randperm(len(x_BCHW)).split(BATCH):
                logits_BK = network(x_BCHW[chosen_B])
                loss = nn.functional.cross_entropy(logits_BK, label_B[chosen_B])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                num_right += int((logits_BK.argmax(dim=1) == label_B[chosen_B]).sum())
            if num_right == len(x_BCHW):
                break
    return network.eval()
