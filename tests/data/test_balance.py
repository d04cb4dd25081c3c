from __future__ import annotations

import numpy as np
import pytest

from scanlens.data.balance import BalancePlan, class_counts, sampling_weights


@pytest.mark.parametrize(
    "fight",
    [
        {"class_weights": True, "sampler": True},
        {"class_weights": True, "logit_adjustment": 1.0},
        {"sampler": True, "logit_adjustment": 1.0},
    ],
)
def test_two_remedies_for_the_same_imbalance_are_refused_with_the_way_out(fight: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"twice\. Keep one"):
        BalancePlan(**fight)  # type: ignore[arg-type]


def test_focal_loss_goes_with_weights_but_not_with_a_negative_exponent() -> None:
    assert BalancePlan(class_weights=True, focal_gamma=2.0).focal_gamma == 2.0
    with pytest.raises(ValueError, match="focal_gamma"):
        BalancePlan(focal_gamma=-1.0)


def test_every_class_is_drawn_equally_often() -> None:
    target = np.array([0, 0, 0, 1])
    np.testing.assert_array_equal(class_counts(target, 3), [3, 1, 0])
    np.testing.assert_allclose(sampling_weights(target, ["a", "b"]), [1 / 6, 1 / 6, 1 / 6, 1 / 2])


def test_missing_class_names_the_class() -> None:
    with pytest.raises(ValueError, match="'severe'"):
        sampling_weights(np.array([0, 0]), ["mild", "severe"])


@pytest.mark.parametrize("wrong", [-1, 2])
def test_images_without_a_class_are_counted_in_the_message(wrong: int) -> None:
    with pytest.raises(ValueError, match=r"1 of 3 training images have none of the 2 classes.*balance=none"):
        sampling_weights(np.array([0, 1, wrong]), ["a", "b"])
