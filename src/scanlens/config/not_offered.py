"""Options that users of other tools look for, and why they are not offered here."""

from __future__ import annotations

_SANITY = (
    "is not offered because it fails sanity checks: its map hardly changes when the weights are replaced by random ones "
    "(Adebayo et al. 2018), so it shows edges of the image rather than what the network has learned. Use "
    "explain=hires_cam or explain=integrated_gradients."
)
_UNSIGNED = (
    "is not offered because it sums absolute values, so that evidence against a class looks like evidence for it. Use "
    "explain=hires_cam or explain=integrated_gradients."
)
NOT_OFFERED = {
    "explain": {
        "guided_backprop": _SANITY,
        "guided_backpropagation": _SANITY,
        "guided_grad_cam": _SANITY,
        "deconvolution": _SANITY,
        "full_grad": _UNSIGNED,
    }
}
"""By group and option, the end of a sentence that begins with the name."""


def why_not(group: str, option: object) -> str:
    """A sentence on why there is no such option, or "" if there is nothing special about it."""
    name = str(option).lower().replace("-", "_")
    reasons = {key.replace("_", ""): reason for key, reason in NOT_OFFERED.get(group, {}).items()}
    reason = reasons.get(name.replace("_", ""))
    return f"{name} {reason}" if reason else ""
