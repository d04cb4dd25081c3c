"""Class activation maps: the formulas of the `grad-cam` library behind one adapter.

The library weights and sums the channels; collecting, sign and scale are ours. Its own collection runs `backward()` on
the network, leaves it in eval mode, loses activations to in-place layers, is not safe in threads, and stretches every
map to [0, 1] after cutting the negative part. Here the maps stay signed, and their numbers can be compared between
images.

Grad-CAM: Selvaraju et al. 2017, doi:10.1109/ICCV.2017.74. Grad-CAM++: Chattopadhyay et al. 2018, arXiv:1710.11063.
HiResCAM: Draelos & Carin 2020, arXiv:2011.08891. LayerCAM: Jiang et al. 2021, doi:10.1109/TIP.2021.3089943.
XGrad-CAM: Fu et al. 2020, arXiv:2008.02312. Eigen-CAM: Muhammad & Yeasin 2020, arXiv:2008.00299. We differ from all six
in the explained number (a difference of log-odds instead of a logit) and in leaving out the final ReLU.

Legend: B images, C channels and h, w cells of the layer, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scanlens.errors import ExplainError
from scanlens.explain.base import Explainer, Explanation, Finding
from scanlens.explain.geometry import Geometry, geometry_of, traced
from scanlens.explain.layer_choice import check_layer, layer_for
from scanlens.explain.layers import check_is_map, gradient_at, reading
from scanlens.explain.scope import untouched
from scanlens.explain.target import Asked, Classes, Question

Formula = Literal[
    "GradCAM", "GradCAMPlusPlus", "HiResCAM", "LayerCAM", "XGradCAM", "EigenCAM", "AblationCAM", "ScoreCAM"
]
_EIGEN_MAX_CELLS = 4096


def weighted_cells(
    formula: Formula,
    activation_BChw: Tensor,
    gradient_BChw: Tensor | None = None,
    *,
    weights_BC: Tensor | None = None,
) -> Tensor:
    """Signed maps from activations and gradients, by the formula of that class of the `grad-cam` library.

    Args:
        formula: name of the class.
        activation_BChw: of the layer.
        gradient_BChw: of the explained number by the activation, where the formula needs it.
        weights_BC: weights of the channels, where those of the formula are not to be used.
    """
    library = _library_class(formula)(_Nobody(), [])
    if weights_BC is not None:
        library.get_cam_weights = lambda *_: _array(weights_BC)
    gradients = None if gradient_BChw is None else _array(gradient_BChw)
    with np.errstate(all="ignore"):  # a division by zero becomes a map that is not finite, and is reported as blank
        cells = library.get_cam_image(None, None, None, _array(activation_BChw), gradients, False)
    return torch.from_numpy(np.ascontiguousarray(cells, dtype=np.float32))


def _library_class(formula: Formula) -> Any:
    try:
        import pytorch_grad_cam  # heavy: brings OpenCV and scikit-learn
    except (ImportError, OSError, RuntimeError) as error:  # a torchvision made for another torch raises RuntimeError
        raise ExplainError(
            f"class activation maps need the package grad-cam, which cannot be imported here: {error}. Install it and "
            "the torchvision that belongs to your torch (pip install grad-cam torchvision), or use "
            "explain=integrated_gradients or explain=occlusion, which need neither."
        ) from error
    return getattr(pytorch_grad_cam, formula)


class _Nobody(nn.Module):
    """The network that the library's constructor may put into eval mode."""

    def __init__(self) -> None:
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros(1))


def _array(tensor: Tensor) -> NDArray[np.float32]:
    return tensor.detach().cpu().numpy()


@dataclass(frozen=True, eq=False)
class PassAndBack:
    """What one pass through the network, and back to a layer, gives: all that every formula is made from.

    Args:
        activation_BChw, gradient_BChw: of the layer; the gradient of the explained number.
        geometry: of its cells.
        layer: its dotted name.
        asked: what was explained.
        score_B: the explained number.
        logits_BK: what the network said.
        image_hw: rows and columns of the images.
    """

    activation_BChw: Tensor
    gradient_BChw: Tensor
    geometry: Geometry
    layer: str
    asked: Asked
    score_B: Tensor
    logits_BK: Tensor
    image_hw: tuple[int, int]


class ClassActivationMap(Explainer):
    """A map at one layer, from its activation and the gradient of the explained log-odds.

    Args:
        layer: dotted name of the layer; None for the network's own `feature_layer`, or, where it names none, the last
            one that suits (see `layer_choice`).
    """

    formula: ClassVar[Formula]

    def __init__(self, layer: str | None = None) -> None:
        self.layer = layer

    def check(self, model: nn.Module) -> None:
        super().check(model)
        check_layer(model, self.layer)

    def made_from(self, seen: PassAndBack) -> Explanation:
        """The explanation by this formula, without another pass."""
        return self._finished(self._of(seen), seen.image_hw)

    def pass_and_back(self, model: nn.Module, x_BCHW: Tensor, question: Question) -> PassAndBack:
        """Ask the network once, inside `scope.untouched`."""
        layer = layer_for(model, self.layer, x_BCHW)
        with traced(model, layer) as trace, reading(layer) as read:
            logits_BK = model(x_BCHW)
        activation_BChw = read.taken(layer)
        check_is_map(activation_BChw, layer, trace.last_map_before_target())
        asked = question.asked_of(logits_BK)
        score_B = asked.score(logits_BK)
        image_hw = (x_BCHW.shape[2], x_BCHW.shape[3])
        return PassAndBack(
            activation_BChw=activation_BChw,
            gradient_BChw=gradient_at(score_B, activation_BChw, layer),
            geometry=geometry_of(trace, image_hw),
            layer=layer.name,
            asked=asked,
            score_B=score_B,
            logits_BK=logits_BK,
            image_hw=image_hw,
        )

    def _find(self, model: nn.Module, x_BCHW: Tensor, question: Question) -> Finding:
        return self._of(self.pass_and_back(model, x_BCHW, question))

    def _of(self, seen: PassAndBack) -> Finding:
        return Finding(
            cells_Bhw=weighted_cells(self.formula, seen.activation_BChw, seen.gradient_BChw),
            geometry=seen.geometry,
            layer=seen.layer,
            asked=seen.asked,
            score_B=seen.score_B,
            logits_BK=seen.logits_BK,
        )


def explained_together(
    explainers: Sequence[Explainer], model: nn.Module, x_BCHW: Tensor, target_B: Classes = None
) -> list[Explanation]:
    """What every method says of the same images; class activation maps at the same layer share one pass and back.

    Args:
        explainers: any methods.
        model, x_BCHW, target_B: see `Explainer.explain`.
    """
    model = getattr(model, "_orig_mod", model)
    seen: dict[str | None, PassAndBack] = {}
    found = []
    for one in explainers:
        if not isinstance(one, ClassActivationMap):
            found.append(one.explain(model, x_BCHW, target_B))
            continue
        one.check(model)
        if one.layer not in seen:
            with untouched(model, x_BCHW) as clean_BCHW:
                seen[one.layer] = one.pass_and_back(model, clean_BCHW, Question(target_B))
        found.append(one.made_from(seen[one.layer]))
    return found


class GradCam(ClassActivationMap):
    """Channels weighted by their mean gradient. Equal to HiResCAM, and exact, where the head averages this very layer.

    Multiplied by the number of cells it is there the classical CAM: weights of the class times activations.

    Args:
        layer: dotted name of the layer; None for the network's own `feature_layer`.
    """

    name = "grad_cam"
    title = "Grad-CAM"
    formula = "GradCAM"
    keeps_positions = False
    description = (
        "Grad-CAM: every feature map, weighted by its average influence on the log-odds of the explained class. "
        "The place can be relied on only where the network averages over positions."
    )

    def __init__(self, layer: str | None = None) -> None:
        super().__init__(layer)


class GradCamPlusPlus(ClassActivationMap):
    """Channels weighted by positive gradients, with the pixel weights of Grad-CAM++. For comparison.

    Args:
        layer: dotted name of the layer; None for the network's own `feature_layer`.
    """

    name = "grad_cam_plus_plus"
    title = "Grad-CAM++"
    formula = "GradCAMPlusPlus"
    keeps_positions = False
    unit = "arbitrary"
    description = (
        "Grad-CAM++: feature maps weighted by their positive influence on the explained class. For comparison: "
        "it does not keep the positions that a network with a flattening head has learned."
    )

    def __init__(self, layer: str | None = None) -> None:
        super().__init__(layer)


class HiResCam(ClassActivationMap):
    """Gradient times activation, summed over channels: what each cell adds to the margin.

    Exact where the head is linear; for heads of ReLUs exact for the image at hand (they are linear around it), and
    with biases of zero the cells sum to the log-odds of one class against one other (of two classes, to the margin).

    Args:
        layer: dotted name of the layer; None for the network's own `feature_layer`.
    """

    name = "hires_cam"
    title = "HiResCAM"
    formula = "HiResCAM"
    description = (
        "HiResCAM: what each position of the last feature maps adds to (positive) or takes from (negative) the "
        "log-odds of the explained class."
    )

    def __init__(self, layer: str | None = None) -> None:
        super().__init__(layer)


class LayerCam(ClassActivationMap):
    """Positive gradient times activation, summed over channels: keeps positions, drops evidence against.

    Args:
        layer: dotted name of the layer; None for the network's own `feature_layer`.
    """

    name = "layer_cam"
    title = "LayerCAM"
    formula = "LayerCAM"
    description = (
        "LayerCAM: evidence for the explained class at each position of the layer; evidence against it is left out."
    )

    def __init__(self, layer: str | None = None) -> None:
        super().__init__(layer)


class XGradCam(ClassActivationMap):
    """Channels weighted by their mean gradient, positions of the channel counting as much as they are active.

    The library's formula is the paper's: the cells sum to what those of HiResCAM sum to. How much is right, then; where
    is not, since a channel's evidence is spread over all places where the channel is active. Not to be used before a
    ReLU: a channel whose activation sums to nearly zero gets a huge weight.

    Args:
        layer: dotted name of the layer; None for the network's own `feature_layer`.
    """

    name = "xgrad_cam"
    title = "XGrad-CAM"
    formula = "XGradCAM"
    keeps_positions = False
    description = (
        "XGrad-CAM: every feature map, scaled to its share of the log-odds of the explained class. For comparison: the "
        "sum is right, the place can be relied on only where the network averages over positions."
    )

    def __init__(self, layer: str | None = None) -> None:
        super().__init__(layer)


class EigenCam(Explainer):
    """Projection of the activation on its first principal component: where the layer is active, for any class.

    The sign of a principal component is arbitrary; here it follows the mean activation.

    Args:
        layer: dotted name of the layer; None for the network's own `feature_layer`.
    """

    name = "eigen_cam"
    title = "Eigen-CAM"
    unit = "activation"
    score_name = "share of the activation's variance that the map shows"
    needs_class = False
    keeps_positions = False
    description = (
        "Eigen-CAM: where the layer is most active (first principal component). Class-blind: it shows no evidence "
        "for or against any class."
    )

    def __init__(self, layer: str | None = None) -> None:
        self.layer = layer

    def check(self, model: nn.Module) -> None:
        super().check(model)
        check_layer(model, self.layer)

    def _find(self, model: nn.Module, x_BCHW: Tensor, question: Question) -> Finding:
        layer = layer_for(model, self.layer, x_BCHW)
        with torch.no_grad(), traced(model, layer) as trace, reading(layer) as read:
            model(x_BCHW)
        activation_BChw = read.taken(layer).cpu()
        check_is_map(activation_BChw, layer, trace.last_map_before_target())
        _check_affordable(activation_BChw, layer.name)
        finite_BChw = torch.nan_to_num(activation_BChw, nan=0.0, posinf=0.0, neginf=0.0)
        cells_Bhw = weighted_cells("EigenCAM", finite_BChw)
        centered_BChw = finite_BChw - finite_BChw.mean(dim=(2, 3), keepdim=True)
        sign_B11 = torch.where((cells_Bhw * centered_BChw.mean(dim=1)).sum(dim=(1, 2), keepdim=True) < 0, -1.0, 1.0)
        share_B = cells_Bhw.square().sum(dim=(1, 2)) / centered_BChw.square().sum(dim=(1, 2, 3))
        return Finding(
            cells_Bhw=torch.where(torch.isfinite(activation_BChw).all(dim=1), cells_Bhw * sign_B11, float("nan")),
            geometry=geometry_of(trace, (x_BCHW.shape[2], x_BCHW.shape[3])),
            layer=layer.name,
            asked=None,
            score_B=share_B,
        )


def _check_affordable(activation_BChw: Tensor, layer_name: str) -> None:
    num_cells = activation_BChw.shape[2] * activation_BChw.shape[3]
    if num_cells > _EIGEN_MAX_CELLS:
        raise ExplainError(
            f"Eigen-CAM decomposes a matrix of cells x cells; layer '{layer_name}' has {num_cells} cells, at most "
            f"{_EIGEN_MAX_CELLS} are affordable. Choose a deeper layer, or smaller images."
        )
