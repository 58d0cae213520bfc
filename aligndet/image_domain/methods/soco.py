"""SoCo (NeurIPS 2021): its published checkpoints hold backbone, FPN and the head's shared layers."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from aligndet.image_domain.methods.contract import DetectorMethod
from aligndet.image_domain.normalisation import IMAGENET

#: A layer of SoCo's head and the same layer of mmdet's ``Shared4Conv1FCBBoxHead``.
HEAD = (
    (re.compile(r"^head\.conv(\d)\."), "conv"),
    (re.compile(r"^head\.bn(\d)\."), "bn"),
)


def online_network(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Map the names of SoCo's online network, as an mmdet detector has them, to the checkpoint's own.

    The published files name it ``encoder``, ``neck`` and ``head`` (also under ``module.``), and the network
    that follows it ``encoder_k``. Empty where it is another checkpoint.
    """
    for module in ("module.", ""):
        names = {
            detector_name(key.removeprefix(module)): key
            for key in tensors
            if key.startswith(tuple(f"{module}{part}." for part in ("encoder", "neck", "head")))
        }
        # a head with convolutions on the regions of a pyramid is what no other method has
        if "backbone.conv1.weight" in names and any(".shared_fcs.0." in name for name in names):
            return names
    return {}


def detector_name(key: str) -> str:
    """Name a layer as mmdet does: ``head.fc1.weight`` is ``roi_head.bbox_head.shared_fcs.0.weight``."""
    if key.startswith("encoder."):
        return f"backbone.{key.removeprefix('encoder.')}"
    for pattern, layer in HEAD:
        key = pattern.sub(lambda found: f"head.shared_convs.{int(found[1]) - 1}.{layer}.", key)  # noqa: B023
    key = key.replace("head.fc1.", "head.shared_fcs.0.", 1)
    return f"roi_head.bbox_{key}" if key.startswith("head.") else key


METHOD = DetectorMethod(
    name="SoCo",
    model="",
    names=online_network,
    layout="encoder.*, neck.* and head.fc1.*, as the published code writes them",
    published_normalisation=IMAGENET,
)
