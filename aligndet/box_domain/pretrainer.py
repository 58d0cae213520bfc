"""Box-domain pre-training of a whole detector, one step at a time (AlignDet, arXiv 2307.11077, section 3)."""

from __future__ import annotations

import copy
from typing import Any, Literal

import torch
from mmdet.registry import MODELS as MMDET_MODELS
from mmengine.config import ConfigDict
from mmengine.logging import print_log
from mmengine.model import BaseModel
from torch import nn

from aligndet.box_domain.adapters import adapter_for, boxes_only
from aligndet.box_domain.adapters.distillation import refuse_inner_detectors
from aligndet.box_domain.adapters.heads import head_config
from aligndet.box_domain.contrast import box_contrast
from aligndet.box_domain.detector_errors import check_arguments, mend_initial_values, naming
from aligndet.box_domain.freezing import freeze, hold_still
from aligndet.box_domain.momentum import follow, follower_of
from aligndet.box_domain.slots import IMAGE_STRIDE
from aligndet.common.configs import read_config
from aligndet.common.errors import InputError
from aligndet.common.views import preprocessor_of_views
from aligndet.registry import MODELS
from aligndet.scopes import scope_of_model

Views = dict[str, Any]


@MODELS.register_module()
class BoxDomainPretrainer(BaseModel):
    """Pre-train neck and heads of a detector so that boxes of one instance agree in two views.

    The detector is used as mmdet builds it; ``adapter_for`` knows how its head becomes slots. The backbone
    is frozen and shared by both networks.

    Args:
        detector: a stock mmdet model config, or the name of a config that has one (``'mmdet::…'``, a file).
        adapter: options for the adapter, e.g. ``dict(embed_dim=128, num_slots=384)``. It has no ``type``:
            the adapter is chosen by the detector's head.
        num_clusters: classes of the proposal file (1: plain proposals), for heads whose matching reads
            class scores.
        temperature: of the contrastive loss.
        loss_weight: of the contrastive loss.
        missing_key: what an id without a slot in the momentum view does, as in :func:`box_contrast`.
        freeze_backbone: False trains the backbone too, which is then copied and averaged like the rest.
        data_preprocessor: two-view preprocessor, made from that of the detector where None.
        init_cfg: mmengine's.
        num_classes: has no meaning here and is refused.

    Raises:
        InputError: the detector predicts no boxes, no adapter serves its head, or ``num_classes`` is given.
    """

    def __init__(
        self,
        detector: dict | str,
        adapter: dict | None = None,
        num_clusters: int = 1,
        temperature: float = 0.5,
        loss_weight: float = 1.0,
        missing_key: Literal["skip", "self"] = "skip",
        freeze_backbone: bool = True,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
        num_classes: int | None = None,
    ) -> None:
        if num_classes is not None:
            raise InputError(
                "model.num_classes has no meaning in pre-training: proposals have no classes. Leave it out; "
                "for clustered proposals (DETR) set model.num_clusters."
            )
        config = detector_config(detector)
        with scope_of_model(config):
            super().__init__(
                data_preprocessor or preprocessor_of_views(config.pop("data_preprocessor", None)), init_cfg
            )
            whole, kind = dict(config), adapter_for(config)
            config = boxes_only(config)
            self.left_out = [key for key, value in whole.items() if value and not config.get(key)]
            if self.left_out:
                print_log(f"{whole['type']} is pre-trained without {', '.join(self.left_out)}", "current")
            kind.prepare(config, num_clusters)
            with naming(self.left_out, whole["type"]):
                classifiers = kind.classifiers(config)
                self.online = MMDET_MODELS.build(config)
            refuse_inner_detectors(self.online)
            if not classifiers:
                raise InputError(
                    f"model.detector: no layer of {head_config(config)['type']} follows its num_classes, so "
                    "it has no classifier whose inputs could be compared (it may classify by given class "
                    "vectors). This head needs an adapter of its own: docs/adapters.md."
                )
            self.online_adapter = kind(self.online, classifiers, **(adapter or {}))
        self.freeze_backbone = freeze_backbone
        if freeze_backbone:
            freeze(self.online.backbone)
        shared = ["backbone"] if freeze_backbone else []
        self.momentum, self.momentum_adapter = follower_of(self.online, self.online_adapter, shared)
        self.temperature, self.loss_weight, self.missing_key = temperature, loss_weight, missing_key
        self.register_load_state_dict_post_hook(_follow_if_not_loaded)

    def loss(self, inputs: Views, data_samples: Views, **more: Views) -> dict[str, Any]:
        """Compute the losses of one step: two views, two networks, one agreement.

        Args:
            inputs: ``online`` and ``momentum``: ``(B, C, H, W)`` each; H and W may differ.
            data_samples: DetDataSample lists under the same names, image by image the same.
            more: what the detector's own data preprocessor gives beside them, under the same names.

        Returns:
            The box losses of the detector, ``loss_contrast``, and ``positives``, a count for the log.

        Raises:
            InputError: the detector and its data preprocessor do not fit, or it needs what was left out.
        """
        for view in ("online", "momentum"):
            number_instances(data_samples[view])
        batch = {"inputs": inputs, "data_samples": data_samples, **more}
        preprocessor = getattr(self.data_preprocessor, "data_preprocessor", self.data_preprocessor)
        check_arguments(self.online, preprocessor, batch)
        with naming(self.left_out, type(self.online)):
            with torch.no_grad():
                # (B, C, H, W) -> k slots of width d, and the same with gradient -> q slots
                keys, _ = self.momentum_adapter(self.momentum, **one_view(batch, "momentum"))
            queries, losses = self.online_adapter(self.online, **one_view(batch, "online"))
        contrast = box_contrast(queries, keys, self.temperature, self.missing_key)  # (q, d), (k, d) -> ()
        losses["loss_contrast"] = self.loss_weight * contrast
        losses["positives"] = (queries.ids >= 0).sum().float()
        return losses

    def forward(
        self, inputs: Views, data_samples: Views | None = None, mode: str = "loss", **more: Views
    ) -> Any:
        """Compute the losses of a step, which is all that a pre-trainer does of mmengine's ``mode``.

        Raises:
            InputError: another ``mode`` than ``'loss'``, or no samples.
        """
        if mode != "loss" or data_samples is None:
            raise InputError(
                f"BoxDomainPretrainer has no mode {mode!r}: it does not detect. "
                "Export a detector from its checkpoint (aligndet export) and fine-tune that."
            )
        return self.loss(inputs, data_samples, **more)

    def follow(self, keep: float) -> None:
        """Move the momentum network towards the online one, or copy it where ``keep`` is 0."""
        follow((self.online, self.online_adapter), (self.momentum, self.momentum_adapter), keep)

    def init_weights(self) -> None:
        """Initialise the online network by the rules of the detector and copy it to the momentum network."""
        with self.online_adapter.originals.in_place():
            self.online.init_weights()
        mend_initial_values(self.online)
        self.follow(0.0)

    def __getattr__(self, name: str) -> Any:
        """Give a user's hook the part of the detector that it asks for: that of the online network."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            online = self.__dict__.get("_modules", {}).get("online")
            if online is None or name.startswith("_"):
                raise
            return getattr(online, name)

    def train(self, mode: bool = True) -> BoxDomainPretrainer:
        """Set the mode of all modules, holding norms, dropout and drop-path of a frozen backbone still."""
        super().train(mode)
        if self.freeze_backbone:
            hold_still(self.online.backbone)
        return self


def detector_config(detector: dict | str) -> ConfigDict:
    """Copy a model config that is given as such, or by the config it stands in."""
    model = read_config(detector).model if isinstance(detector, str) else detector
    return ConfigDict(copy.deepcopy(dict(model)))


def one_view(batch: dict[str, Views], view: str) -> dict[str, Any]:
    """Select what one network is given of a batch of two views."""
    return {key: value[view] for key, value in batch.items()}


def number_instances(samples: list[Any]) -> None:
    """Make ids unique over the batch, in place, by starting those of image i at ``i * IMAGE_STRIDE``.

    Raises:
        InputError: the samples were packed without ids.
    """
    for number, sample in enumerate(samples):
        instances = sample.gt_instances
        if "instance_ids" not in instances:
            raise InputError(
                "gt_instances.instance_ids is missing. The training pipeline needs aligndet.NumberProposals "
                "before MultiBranch, and aligndet.PackView instead of PackDetInputs in both branches."
            )
        instances.instance_ids = instances.instance_ids + number * IMAGE_STRIDE


def _follow_if_not_loaded(module: nn.Module, incompatible: Any) -> None:
    """Copy online to momentum after loading a checkpoint without a momentum network (an online one, say)."""
    if any(key.startswith(("momentum.", "momentum_adapter.")) for key in incompatible.missing_keys):
        module.follow(0.0)  # type: ignore[operator]
