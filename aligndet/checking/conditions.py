"""What must hold of the steps of a check: each condition can fail."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from aligndet.box_domain import BoxDomainPretrainer


class CheckError(AssertionError):
    """A model did not do what it must; the message says what."""


def check_losses(scalars: Mapping[str, float]) -> tuple[float, float]:
    """Check that the detector's own losses exist and that all are finite.

    Args:
        scalars: of a step, as mmengine logs them; ``loss`` is the sum of the others.

    Returns:
        The contrast, and the sum of the detector's own losses.
    """
    losses = {key: value for key, value in scalars.items() if "loss" in key and key != "loss"}
    contrast = losses.pop("loss_contrast")
    infinite = [key for key, value in losses.items() if not math.isfinite(value)]
    require(bool(losses), "the detector gave no loss of its own")
    require(not infinite, f"losses are not finite: {', '.join(infinite)}")
    require(math.isfinite(contrast), f"loss_contrast is {contrast}")
    return contrast, sum(losses.values())


def check_steps(positives: Sequence[int], contrasts: Sequence[float]) -> None:
    """Check that slots belonged to instances, and that these were told from others, in some step."""
    require(any(positives), "no slot belongs to an instance")
    require(max(contrasts) > 0, f"loss_contrast is {max(contrasts)}")


class Gradients:
    """Notes over the steps which parameters of a pre-trainer have a gradient, and of what kind.

    Attributes:
        given: parameters that had one. infinite: those of which one was not finite.
        felt: parts in which one was not zero. A part is a neck, a head, a transformer.
    """

    def __init__(self) -> None:
        self.given: set[str] = set()
        self.infinite: set[str] = set()
        self.felt: set[str] = set()

    def see(self, pretrainer: BoxDomainPretrainer) -> None:
        """Look at the gradients that are there now."""
        there = {key: p.grad for key, p in pretrainer.named_parameters() if p.grad is not None}
        self.given |= set(there)
        self.infinite |= {key for key, gradient in there.items() if not gradient.isfinite().all()}
        self.felt |= {part_of(key) for key, gradient in there.items() if gradient.any()}

    def check(self, pretrainer: BoxDomainPretrainer) -> None:
        """Check that all were finite, and that nothing that is frozen is trained.

        Raises:
            CheckError: naming the tensors.
        """
        trained = {key for key, p in pretrainer.named_parameters() if p.requires_grad}
        moved = [key for key in sorted(self.given | trained) if is_still(key)]
        require(not moved, f"{len(moved)} frozen tensors are trained: {some(moved)}")
        require(not self.infinite, f"gradients are not finite: {some(sorted(self.infinite))}")

    def missed(self, pretrainer: BoxDomainPretrainer) -> str:
        """Say which trainable parameters had no gradient, or which parts none but zeros; empty where none.

        A single tensor may have a gradient of zero: deformable attention starts with weights of zero, behind
        which DINO's ``level_embed`` is not felt at first.
        """
        trained = [key for key, p in pretrainer.named_parameters() if p.requires_grad]
        left = [key for key in trained if key not in self.given]
        if left:
            return f"{len(left)} tensors get no gradient: {some(left)}"
        unfelt = sorted({part_of(key) for key in trained if key.count(".") > 1} - self.felt)
        return f"all gradients are zero in {some(unfelt)}" if unfelt else ""


def is_still(key: str) -> bool:
    """Tell whether a parameter belongs to what training by gradient leaves alone."""
    return key.startswith(("online.backbone.", "momentum"))


def part_of(key: str) -> str:
    """``online.neck`` of ``online.neck.convs.0.weight``."""
    return ".".join(key.split(".")[:2])


def check_still(before: Mapping[str, Tensor], backbone: nn.Module) -> None:
    """Weights and norm statistics of the backbone are what they were."""
    now = backbone.state_dict()
    moved = [key for key, value in before.items() if not torch.equal(value, now[key])]
    require(not moved, f"{len(moved)} tensors of the backbone changed: {some(moved)}")


def require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise CheckError(otherwise)


def some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
