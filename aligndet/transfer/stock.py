"""The stock detector behind a checkpoint, built offline, to know its keys, shapes and initial values."""

import contextlib
import copy
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from torch import nn

from aligndet.box_domain.adapters import boxes_only, classifier_names, student
from aligndet.common.errors import InputError
from aligndet.common.modules import unregistered
from aligndet.registry import register_mmdet, scope_of_model


def without_downloads(config: Any) -> Any:
    """A copy of a model config in which nothing loads weights: no ``Pretrained``, no ``pretrained=``."""
    if isinstance(config, list | tuple):
        return type(config)(without_downloads(item) for item in config)
    if not isinstance(config, dict):
        return copy.deepcopy(config)
    plain = ConfigDict()
    for key, value in config.items():
        loads = key == "init_cfg" and isinstance(value, dict) and "checkpoint" in value  # PVT gives no type
        if loads or key in ("pretrained", "checkpoint_path"):
            continue
        plain[key] = without_downloads(value)
    return plain


def build_stock(config: Any, seed: int = 0) -> nn.Module:
    """Build the detector of a stock model config with initial values fixed by ``seed``, without downloads.

    Of a distillation config, the student.

    Args:
        config: an mmdet model config.
        seed: of the initial values; torch's own random state is left as it was.

    Raises:
        InputError: mmdet cannot build it; the message names the detector and mmdet's complaint.
    """
    with _building(config), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            detector: nn.Module = MODELS.build(without_downloads(student(config)))
        except (KeyError, TypeError, ValueError, AttributeError, AssertionError) as error:
            raise InputError(
                f"mmdet cannot build the detector {config.get('type')!r}: {unregistered(error) or error}"
            ) from error
        detector.init_weights()  # type: ignore[operator]
    return detector.cpu()


def classifier_layers(config: Any) -> list[str]:
    """Dotted names of the layers of a stock detector whose shape follows ``num_classes``."""
    with _building(config):
        return classifier_names(ConfigDict(without_downloads(student(config))))


def box_part_keys(config: Any) -> set[str]:
    """Keys of the tensors that box-domain pre-training has of a stock detector; the others are left out."""
    with _building(config), torch.random.fork_rng(devices=[]):
        return set(MODELS.build(boxes_only(ConfigDict(without_downloads(config)))).state_dict())


@contextmanager
def _building(config: Any) -> Iterator[None]:
    """Build in silence in the present default scope, mmdet's where there is none."""
    with quiet():
        register_mmdet()
        with scope_of_model(config):
            yield


@contextmanager
def quiet() -> Iterator[None]:
    """Silence mmengine's hundreds of lines on initial values, and keep what mmdet prints off stdout."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        logging.disable(before)
