"""Read a checkpoint and say what it is: AlignDet pre-training, a plain detector, or something else."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from aligndet.common import checkpoints
from aligndet.common.checkpoints import CheckpointError
from aligndet.common.errors import InputError
from aligndet.common.newest_checkpoint import checkpoint_file
from aligndet.image_domain.held_config import config_to_build
from aligndet.image_domain.sources import read_tensors

State = dict[str, torch.Tensor]

#: What the official AlignDet code calls the detector that it trains.
OFFICIAL = ("online_backbone.", "module.online_backbone.", "backbone.", "module.backbone.")

_LOOKS = (
    (("teacher.", "student."), "a teacher/student checkpoint (DINO, Soft Teacher)"),
    (("module.encoder_q.", "encoder_q."), "a MoCo checkpoint; it holds a backbone only"),
    (("head.", "classifier.", "fc."), "a classification checkpoint; it holds a backbone and a classifier"),
    (("conv1.", "layer1.", "conv_stem.", "blocks.", "patch_embed."), "a bare backbone"),
)


@dataclass(frozen=True)
class Checkpoint:
    """Holds a checkpoint in memory.

    Attributes:
        path: where it was read.
        state: tensors by key. meta: mmengine's ``meta``.
    """

    path: Path
    state: State
    meta: dict[str, Any]

    @property
    def is_pretraining(self) -> bool:
        """True for a checkpoint of ``BoxDomainPretrainer``."""
        return any(key.startswith("online.") for key in self.state)

    @property
    def is_official(self) -> bool:
        """True for pre-training by the official code, which calls the whole detector ``backbone``."""
        return _official_prefix(self.state) is not None

    @property
    def is_detector(self) -> bool:
        """True for a plain detector: it has a head that finds boxes."""
        return any("_head." in key for key in self.state)

    def config(self) -> Config:
        """Read the config stored in the checkpoint.

        Raises:
            CheckpointError: none is stored.
            InputError: it holds code, or its model names what no registry has.
        """
        text = self.meta.get("cfg")
        if not isinstance(text, str):
            raise CheckpointError(
                f"{self.path}: no config is stored under meta['cfg']; give the detector's with --config"
            )
        return config_to_build(text, str(self.path))


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a local checkpoint: mmengine's ``{'meta', 'state_dict'}``, or bare tensors.

    Args:
        path: a file, or a work dir of mmengine, whose latest checkpoint is read.

    Raises:
        CheckpointError: no such file, not a checkpoint, or it holds no tensors.
    """
    path = checkpoint_file(path)
    content = checkpoints.read_checkpoint(path)
    meta = content.get("meta") if isinstance(content, dict) else None
    return Checkpoint(path, read_tensors(content, str(path)), meta if isinstance(meta, dict) else {})


def looks_like(state: State) -> str:
    """Say in words what a checkpoint without ``online.`` keys seems to be."""
    tops = {key.split(".")[0] for key in state}
    if "backbone" in tops and tops & {"neck", "bbox_head", "rpn_head", "roi_head", "encoder", "decoder"}:
        return "a plain detector checkpoint; use it in load_from as it is"
    if "backbone" in tops:
        return f"a backbone checkpoint with parts {', '.join(sorted(tops))}"
    for prefixes, name in _LOOKS:
        if any(key.startswith(prefixes) for key in state):
            return name
    return f"a checkpoint with keys such as {', '.join(sorted(state)[:3])}"


def network_state(checkpoint: Checkpoint, network: str) -> State:
    """Select the online or momentum detector of a pre-training checkpoint, under stock keys.

    The momentum detector shares what was frozen (the backbone), so that is taken from the online one.

    Raises:
        CheckpointError: not a pre-training checkpoint, or it has no momentum network.
        InputError: ``network`` is neither ``online`` nor ``momentum``.
    """
    if network not in ("online", "momentum"):
        raise InputError(f"network must be 'online' or 'momentum', got {network!r}")
    if checkpoint.is_official:
        return _official_network(checkpoint, network)
    if not checkpoint.is_pretraining:
        raise CheckpointError(
            f"{checkpoint.path} is not an AlignDet pre-training checkpoint (no 'online.' keys): "
            f"it looks like {looks_like(checkpoint.state)}"
        )
    online = _below(checkpoint.state, "online.")
    if network == "online":
        return online
    momentum = _below(checkpoint.state, "momentum.")
    if not momentum:
        raise CheckpointError(f"{checkpoint.path} holds no momentum network; use --network online")
    return {**online, **momentum}


def _official_network(checkpoint: Checkpoint, network: str) -> State:
    """Select the online detector of the official code's checkpoint."""
    if network != "online":
        raise CheckpointError(f"{checkpoint.path} is of the official AlignDet code; use --network online")
    return _below(checkpoint.state, str(_official_prefix(checkpoint.state)))


def _official_prefix(state: State) -> str | None:
    for prefix in OFFICIAL:
        heads = tuple(f"{prefix}{part}." for part in ("neck", "rpn_head", "roi_head", "bbox_head"))
        if any(key.startswith(f"{prefix}backbone.") for key in state) and any(
            key.startswith(heads) for key in state
        ):
            return prefix
    return None


def _below(state: State, prefix: str) -> State:
    return {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}
