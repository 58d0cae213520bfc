"""What InsLoc trains of a detector, and how its checkpoints, ours or the published ones, name it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

from torch import Tensor

from aligndet.image_domain.methods.contract import DetectorMethod
from aligndet.image_domain.normalisation import IMAGENET


def query_network(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Map the names of the query network, as an mmdet detector has them, to the checkpoint's own.

    Knows ``aligndet.InsLoc`` (``encoder_q.backbone. ...``) and the published code (``backbone. ...`` beside
    the key network's ``backbone_k. ...``), each also under ``module.``; empty where it is neither.
    """
    for ours, module in product((True, False), ("", "module.")):
        prefix = f"{module}encoder_q." if ours else module
        twin = f"{module}encoder_k." if ours else f"{module}backbone_k."
        parts = tuple(prefix + part for part in ("backbone.", "neck.", "roi_head."))
        names = {key[len(prefix) :]: key for key in tensors if key.startswith(parts)}
        if "backbone.conv1.weight" in names and any(key.startswith(twin) for key in tensors):
            return names
    return {}


METHOD = DetectorMethod(
    name="InsLoc",
    model="aligndet.InsLoc",
    names=query_network,
    layout="encoder_q.backbone.* beside encoder_k.*, or backbone.* beside backbone_k.* (the published code)",
    published_normalisation=IMAGENET,
)
