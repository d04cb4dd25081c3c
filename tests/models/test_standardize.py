"""The first step of every network, checked on numbers worked out by hand."""

import pytest
import torch

from scanlens.errors import ModelError
from scanlens.models.standardize import Standardize


def test_values_are_mean_subtracted_and_std_divided_per_channel():
    layer = Standardize(2, mean=[0.5, 0.25], std=[0.25, 0.5])
    x_BCHW = torch.tensor([1.0, 0.75]).view(1, 2, 1, 1)
    assert layer(x_BCHW).flatten().tolist() == [2.0, 1.0]


def test_without_statistics_intensities_stay_as_they_are():
    x_BCHW = torch.rand(2, 3, 4, 4)
    assert torch.equal(Standardize(3)(x_BCHW), x_BCHW)


def test_one_number_serves_all_channels():
    assert Standardize(3, mean=[0.2], std=[0.1]).mean_C.tolist() == pytest.approx([0.2, 0.2, 0.2])


def test_constant_channel_is_only_shifted():
    layer = Standardize(1, mean=[0.5], std=[0.0])
    assert layer(torch.full((1, 1, 1, 1), 0.75)).item() == pytest.approx(0.25)


def test_statistics_belong_to_the_saved_weights():
    assert set(Standardize(1).state_dict()) == {"mean_C", "std_C"}


@pytest.mark.parametrize(
    "mean, std, named",
    [([0.1, 0.2], None, "input_mean"), (None, [float("nan")], "input_std"), (None, [-1.0], "input_std")],
)
def test_wrong_statistics_name_the_argument(mean, std, named):
    with pytest.raises(ModelError, match=named):
        Standardize(3, mean=mean, std=std)


def test_image_with_other_channels_is_refused_with_both_numbers():
    with pytest.raises(ModelError, match=r"3 channels.*\(2, 1, 8, 8\)"):
        Standardize(3)(torch.zeros(2, 1, 8, 8))
