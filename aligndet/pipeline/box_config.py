"""The config of box-domain pre-training: the recipe's around any detector, or the user's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mmengine.config import Config

from aligndet.common.configs import add_imports, imports_of, model_of, read_config
from aligndet.common.errors import InputError
from aligndet.common.files import write_text


def of_user(
    box_config: str, detector: str, proposals: str, image_root: str, options: dict[str, Any]
) -> Config:
    """The user's own pre-training config with this detector and these data.

    Args:
        box_config: of the user. detector: config of the detector.
        proposals: file or store. image_root: folder of its file names.
        options: dotted keys and values, put over all.

    Raises:
        InputError: it is no config of box-domain pre-training.
    """
    from aligndet.box_domain.recipe import Table, detector_of
    from aligndet.scopes import default_scope, scope_of
    from aligndet.training.config import load_config

    config = load_config(box_config)
    if not str((config.get("model") or {}).get("type")).endswith("BoxDomainPretrainer"):
        raise InputError(
            f"--box-config {box_config}: model.type is not aligndet.BoxDomainPretrainer; give a config of "
            "box-domain pre-training, such as those in aligndet::box_domain/"
        )
    theirs = read_config(detector, options)
    model_of(theirs, detector)
    with scope_of(theirs):
        config.model.detector = detector_of(theirs, Table())
    if default_scope(theirs) != default_scope(config):
        config.model.detector.setdefault("_scope_", default_scope(theirs))
    add_imports(config, imports_of(theirs))
    data = config.train_dataloader.dataset
    data.ann_file, data.data_prefix = proposals, {"img": image_root}
    config.merge_from_dict(options)
    return config


def build(config: Config) -> Any:
    """Build the pre-trainer of a config, without loading weights.

    Raises:
        InputError: mmdet or the pre-trainer cannot build it.
    """
    from mmengine.registry import MODELS

    from aligndet.scopes import scope_of
    from aligndet.transfer.stock import without_downloads

    with scope_of(config):
        try:
            return MODELS.build(without_downloads(config.model))
        except InputError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, AssertionError) as error:
            raise InputError(f"the detector cannot be built: {' '.join(str(error).split())}") from error


def stand_in(folder: Path) -> Path:
    """A file of one proposal, for configs that are built before there are any."""
    image = {"id": 1, "file_name": "1.jpg", "width": 64, "height": 64}
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [8, 8, 32, 32], "area": 1024, "iscrowd": 0}
    content = {"images": [image], "annotations": [box], "categories": [{"id": 1, "name": "proposal"}]}
    write_text(folder / "proposals.json", json.dumps(content))
    return folder / "proposals.json"
