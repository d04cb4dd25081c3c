"""Losses against torch, scikit-learn, scikit-image and numbers worked out by hand."""

import math

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity as skimage_ssim
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional

from scanlens.losses import (
    ClassificationLoss,
    ReconstructionLoss,
    class_prior,
    inverse_frequency_weights,
    structural_similarity,
)

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 0.0, 0.0], [-3.0, 4.0, 1.0], [1.0, 2.0, 3.0]])
TARGET = torch.tensor([0, 2, 0, 1])


def test_plain_loss_is_cross_entropy():
    loss_B = ClassificationLoss().per_image(LOGITS, TARGET)
    torch.testing.assert_close(loss_B, functional.cross_entropy(LOGITS, TARGET, reduction="none"))
    assert ClassificationLoss()(LOGITS, TARGET).item() == pytest.approx(loss_B.mean().item())


def test_even_logits_cost_the_logarithm_of_the_number_of_classes():
    assert ClassificationLoss().per_image(LOGITS, TARGET)[1].item() == pytest.approx(math.log(3))


def test_class_weights_multiply_each_image_and_the_mean_is_over_images():
    weights_K = torch.tensor([1.0, 2.0, 4.0])
    loss = ClassificationLoss(weights_K=weights_K)
    expected = functional.cross_entropy(LOGITS, TARGET, weight=weights_K, reduction="none")
    torch.testing.assert_close(loss.per_image(LOGITS, TARGET), expected)
    assert loss(LOGITS, TARGET).item() == pytest.approx(expected.sum().item() / 4)


def test_weighted_loss_of_two_halves_averages_to_that_of_the_whole():
    loss = ClassificationLoss(weights_K=torch.tensor([0.2, 1.0, 5.0]))
    halves = (loss(LOGITS[:2], TARGET[:2]) + loss(LOGITS[2:], TARGET[2:])) / 2
    torch.testing.assert_close(halves, loss(LOGITS, TARGET))


def test_label_smoothing_is_that_of_torch():
    expected = functional.cross_entropy(LOGITS, TARGET, reduction="none", label_smoothing=0.1)
    torch.testing.assert_close(ClassificationLoss(label_smoothing=0.1).per_image(LOGITS, TARGET), expected)


def test_focal_loss_follows_the_formula():
    p_B = LOGITS.softmax(1)[torch.arange(4), TARGET]
    torch.testing.assert_close(
        ClassificationLoss(focal_gamma=2.0).per_image(LOGITS, TARGET), -((1 - p_B) ** 2) * p_B.log()
    )


def test_focal_loss_by_hand():
    # p = 1/2: (1/2)^2 * ln 2
    loss = ClassificationLoss(focal_gamma=2.0)(torch.zeros(1, 2), torch.tensor([0]))
    assert loss.item() == pytest.approx(0.25 * math.log(2))


def test_gamma_zero_is_cross_entropy():
    torch.testing.assert_close(
        ClassificationLoss(focal_gamma=0.0)(LOGITS, TARGET), ClassificationLoss()(LOGITS, TARGET)
    )


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_gradient_is_finite_where_the_network_is_certain(gamma):
    logits_BK = torch.tensor([[80.0, -80.0], [-80.0, 80.0]], requires_grad=True)
    ClassificationLoss(focal_gamma=gamma)(logits_BK, torch.tensor([0, 0])).backward()
    assert logits_BK.grad.isfinite().all()


def test_logit_adjustment_adds_the_log_prior_to_the_logits():
    prior_K = torch.tensor([0.7, 0.2, 0.1])
    loss = ClassificationLoss(prior_K=prior_K, tau=1.5)
    expected = functional.cross_entropy(LOGITS + 1.5 * prior_K.log(), TARGET, reduction="none")
    torch.testing.assert_close(loss.per_image(LOGITS, TARGET), expected)


def test_adjusted_loss_makes_even_logits_of_a_rare_class_more_costly():
    loss = ClassificationLoss(prior_K=torch.tensor([0.9, 0.1]))
    common, rare = loss.per_image(torch.zeros(2, 2), torch.tensor([0, 1])).tolist()
    assert (common, rare) == pytest.approx((-math.log(0.9), -math.log(0.1)))


def test_half_precision_logits_are_judged_in_float32():
    loss_B = ClassificationLoss(weights_K=torch.ones(3), focal_gamma=2.0).per_image(LOGITS.bfloat16(), TARGET)
    assert loss_B.dtype == torch.float32


def test_settings_follow_the_module_but_are_not_part_of_the_weights():
    loss = ClassificationLoss(weights_K=torch.ones(3, dtype=torch.float64), prior_K=torch.full((3,), 1 / 3))
    assert loss.state_dict() == {}
    assert {name for name, _ in loss.named_buffers()} == {"weights_K", "log_prior_K"}


@pytest.mark.parametrize(
    "settings, named",
    [
        ({"focal_gamma": -1.0}, "focal_gamma"),
        ({"label_smoothing": 1.0}, "label_smoothing"),
        ({"tau": -0.5}, "tau"),
        ({"weights_K": torch.tensor([1.0, -1.0])}, "weights_K"),
        ({"weights_K": torch.tensor([1.0, math.inf])}, "weights_K"),
        ({"prior_K": torch.tensor([1.0, 0.0])}, "prior_K"),
        ({"prior_K": torch.tensor([30.0, 70.0])}, "prior_K"),
    ],
)
def test_value_outside_its_range_is_named(settings, named):
    with pytest.raises(ValueError, match=named):
        ClassificationLoss(**settings)


def test_inverse_frequency_weights_are_those_of_scikit_learn():
    counts = [50, 30, 20]
    labels = np.repeat(np.arange(3), counts)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    assert inverse_frequency_weights(counts).tolist() == pytest.approx(expected.tolist())


def test_inverse_frequency_weights_have_mean_one_over_images():
    counts = torch.tensor([7, 1, 400])
    assert (inverse_frequency_weights(counts) * counts).sum().item() / 408 == pytest.approx(1.0)


def test_prior_is_the_share_of_each_class():
    assert class_prior([6, 3, 1]).tolist() == pytest.approx([0.6, 0.3, 0.1])


@pytest.mark.parametrize("function", [inverse_frequency_weights, class_prior])
def test_class_without_images_is_named(function):
    with pytest.raises(ValueError, match="No image of 'pituitary' is in the training split"):
        function([3, 0], ["glioma", "pituitary"])


def images():
    generator = torch.Generator().manual_seed(0)
    a = torch.rand(3, 2, 24, 20, generator=generator)
    return a, (a + 0.2 * torch.randn(a.shape, generator=generator)).clamp(0, 1)


@pytest.mark.parametrize("kind, reference", [("mse", functional.mse_loss), ("l1", functional.l1_loss)])
def test_pixel_losses_are_those_of_torch_per_image(kind, reference):
    a, b = images()
    expected = torch.stack([reference(x, y) for x, y in zip(a, b, strict=True)])
    torch.testing.assert_close(ReconstructionLoss(kind).per_image(a, b), expected)
    assert ReconstructionLoss(kind)(a, b).item() == pytest.approx(expected.mean().item())


def test_structural_similarity_is_that_of_scikit_image():
    a, b = images()
    expected = [
        skimage_ssim(
            x.numpy(), y.numpy(), channel_axis=0, data_range=1.0, gaussian_weights=True, use_sample_covariance=False
        )
        for x, y in zip(a.double(), b.double(), strict=True)
    ]
    assert structural_similarity(a, b).tolist() == pytest.approx(expected, abs=1e-5)


def test_mixed_loss_is_zero_for_equal_images_and_mixes_as_said():
    a, b = images()
    loss = ReconstructionLoss("ssim_mix", ssim_share=0.25)
    torch.testing.assert_close(loss.per_image(a, a), torch.zeros(3), atol=1e-5, rtol=0)
    expected = 0.25 * (1 - structural_similarity(a, b)) / 2 + 0.75 * (a - b).abs().mean(dim=(1, 2, 3))
    torch.testing.assert_close(loss.per_image(a, b), expected)


def test_following_the_gradient_of_the_mixed_loss_lowers_it():
    a, b = images()
    b.requires_grad_()
    loss = ReconstructionLoss("ssim_mix")
    before = loss(b, a)
    before.backward()
    assert loss((b - 5 * b.grad).detach(), a) < before


def test_image_below_the_window_says_what_is_needed():
    with pytest.raises(ValueError, match="at least 11x11 pixels, got 8x8"):
        ReconstructionLoss("ssim_mix").per_image(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8))


def test_unknown_kind_lists_the_known_ones():
    with pytest.raises(ValueError, match="mse, l1 or ssim_mix, got 'ssim'"):
        ReconstructionLoss("ssim")
