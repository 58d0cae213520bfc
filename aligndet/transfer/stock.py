"""The stock detector behind a checkpoint, built offline, to know its keys, shapes and initial values."""

import contextlib
import copy
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import Parameter
from typing import Any

import torch
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from torch import nn

from aligndet.box_domain.adapters import boxes_only, classifier_names, student
from aligndet.box_domain.adapters.ancestry import ancestry
from aligndet.common.signatures import options_of
from aligndet.scopes import building, register_mmdet, scope_of_model

#: Options of modules that load the file they name.
_LOADING = ("pretrained", "checkpoint_path")
#: How names of files of weights end and begin.
_WEIGHTS = (".pth", ".pt", ".ckpt", ".bin", ".safetensors", ".pth.tar", ".pyth")
_STORES = ("torchvision://", "open-mmlab://", "openmmlab://", "mmcls://", "modelzoo://", "timm://", "jhu://")


def without_downloads(config: Any) -> Any:
    """Copy a model config so that nothing in it loads weights: no ``Pretrained``, no file of weights.

    An option that names such a file stays, for a constructor may ask for it, and names none.
    """
    if isinstance(config, list | tuple):
        kept = (item for item in config if not _is_pretrained(item))
        return type(config)(without_downloads(item) for item in kept)
    if not isinstance(config, dict):
        return copy.deepcopy(config)
    plain = ConfigDict()
    for key, value in config.items():
        if key == "init_cfg" and _is_pretrained(value):
            option = _option(config, key)
            if option is not None and option.default is Parameter.empty:
                plain[key] = None
        elif value and (key in _LOADING or _names_weights(value)):
            plain[key] = _nothing(_option(config, key), value)
        else:
            plain[key] = without_downloads(value)
    return plain


def _is_pretrained(init_cfg: Any) -> bool:
    """Tell a rule of initial weights that loads a file; PVT's has no type."""
    return isinstance(init_cfg, dict) and "checkpoint" in init_cfg


def _names_weights(value: Any) -> bool:
    return isinstance(value, str) and (value.endswith(_WEIGHTS) or value.startswith(_STORES))


def _option(config: dict[str, Any], name: str) -> Any:
    """Give the parameter of a module's constructor, None where it is not known."""
    kinds = ancestry(config)
    return options_of(kinds[0]).get(name) if kinds else None


def _nothing(option: Any, value: Any) -> Any:
    """Say "no file" as an option wants it: None, or an empty string where it is declared as a string."""
    if isinstance(value, bool):
        return False
    is_text = option is not None and (option.annotation in (str, "str") or option.default == "")
    return "" if is_text else None


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
        detector: nn.Module = MODELS.build(without_downloads(student(config)))
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
    """Build in silence in the present default scope, mmdet's where there is none.

    Raises:
        InputError: it cannot be built.
    """
    with quiet(), building(f"mmdet cannot build the detector {str(config.get('type'))[:80]!r}"):
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
