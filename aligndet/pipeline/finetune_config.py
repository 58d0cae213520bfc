"""``finetune.py``: the user's config, started from the pre-trained detector, for any mmdet project."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from aligndet.common.config_text import config_text, raw
from aligndet.common.configs import add_imports, imports_of, read_config
from aligndet.common.errors import InputError
from aligndet.common.files import write_text
from aligndet.common.labels.file import LabelFile
from aligndet.common.labels.reader import class_names, read_labels
from aligndet.common.labels.write import sound_labels
from aligndet.ops import stand_in_imports
from aligndet.pipeline.inputs import config_path
from aligndet.scopes import default_scope
from aligndet.transfer.finetune import point_dataset, set_num_classes

#: Training and validation labels, and the folders of their images.
Labels = tuple[tuple[str, ...], tuple[str, ...]]

HEAD = """# Fine-tuning from the detector that aligndet pre-trained; all that is not here is its own config.
#   mim train mmdet {name}      or mmdet's tools/train.py, or: aligndet train {name}
"""


def finetune_config(
    detector: str, weights: Path, labels: Labels, options: dict[str, Any], imports: Sequence[str] = ()
) -> Config:
    """The whole config, in memory.

    Args:
        detector: config of the detector.
        weights: that it loads.
        labels: to train and validate on; empty keeps the config's own data. Labels that are mended, or no
            COCO json, are named as :func:`write_labels` writes them.
        options: dotted keys and values.
        imports: modules of the user's that its ``custom_imports`` lack.

    Raises:
        InputError: the config has no detector with classes, or the label files disagree on classes.
    """
    config = read_config(detector, options)
    add_imports(config, imports)
    if labels[0]:
        _put_labels(config, detector, labels, weights.parent)
    config.load_from = str(weights)
    config.model.backbone.init_cfg = None
    if config.model.backbone.get("pretrained"):
        config.model.backbone.pretrained = False if config.model.backbone.pretrained is True else None
    _import_stand_in(config)
    config.merge_from_dict(options)
    return config


def _import_stand_in(config: Config) -> None:
    """Let the config give mmcv its operators, where it has no compiled ones."""
    ours = stand_in_imports()
    if ours is None:
        return
    theirs: Any = config.get("custom_imports") or {}
    modules = imports_of({"custom_imports": ours}) + imports_of(config)  # what theirs import may need ours
    config.custom_imports = {**ours, **theirs, "imports": list(dict.fromkeys(modules))}


def _read(labels: Labels, folder: Path) -> list[tuple[LabelFile, Path]]:
    """Labels to train and to validate on, each with the file that a training in ``folder`` reads."""
    found = []
    for path, images, split in zip(*labels, ("train", "val"), strict=True):
        read = read_labels(path, images, split)
        found.append((read, read.path if read.sound else folder / "labels" / f"{split}.json"))
    return found


def write_labels(labels: Labels, folder: Path) -> None:
    """Write the labels that are mended, or no COCO json, below ``folder``, where the config names them."""
    for read, file in _read(labels, folder) if labels[0] else ():
        sound_labels(read, file)


def _put_labels(config: Config, detector: str, labels: Labels, folder: Path) -> None:
    """Put the user's labels and number of classes into a config."""
    (first, train), (second, val) = _read(labels, folder)
    folders = [Path(path) for path in labels[1]]
    classes = class_names(first, second)
    if not set_num_classes(config.model, len(classes)):
        raise InputError(f"{detector}: no 'num_classes' in 'model'; is it a detector with classes?")
    for part, file, folder in (
        ("train", train, folders[0]),
        ("val", val, folders[1]),
        ("test", val, folders[1]),
    ):
        if config.get(f"{part}_dataloader"):
            point_dataset(config[f"{part}_dataloader"], file, folder, classes, default_scope(config))
    for part in ("val", "test"):
        config[f"{part}_evaluator"] = {**_evaluator(config.get(f"{part}_evaluator")), "ann_file": str(val)}


def _evaluator(theirs: Any) -> dict[str, Any]:
    """The COCO metric of a config, with its settings; a new one where it has another metric."""
    given = theirs if isinstance(theirs, (list, tuple)) else [theirs or {}]
    coco = (
        one
        for one in given
        if str(getattr(one.get("type"), "__name__", one.get("type"))).endswith("CocoMetric")
    )
    found = raw(next(coco, {"type": "mmdet.CocoMetric", "metric": "bbox"}))
    return {key: value for key, value in found.items() if key not in ("format_only", "outfile_prefix")}


def write_finetune(detector: str, config: Config, out: Path) -> None:
    """Write the config as a short file over the detector's own, or whole where that cannot be inherited."""
    base = f"_base_ = {quoted(base_name(detector))}\n\n"
    write_text(out, HEAD.format(name=out) + base + _changes(config, read_config(detector)))
    try:
        same = Config.fromfile(out).to_dict() == config.to_dict()
    except Exception:  # new-style configs are inherited by import, and not by _base_
        same = False
    if not same:
        write_text(out, HEAD.format(name=out) + config_text(config))


def _changes(config: Config, base: Config) -> str:
    """Text of the keys that differ from the base's: a changed part of a dictionary, else the whole value."""
    now, before = config.to_dict(), base.to_dict()
    changed = {key: _change(value, before.get(key)) for key, value in now.items() if value != before.get(key)}
    return config_text(Config(changed))


def _change(now: Any, before: Any) -> Any:
    """What to write over ``before`` so that mmengine's inheritance gives ``now``."""
    if not (isinstance(now, dict) and isinstance(before, dict)):
        return now
    if set(before) - set(now) or now.get("type") != before.get("type"):
        return {"_delete_": True, **now}
    return {
        key: _change(value, before.get(key))
        for key, value in now.items()
        if value != before.get(key, _change)
    }


def base_name(detector: str) -> str:
    """How any project names the detector's config: ours by its file, mmdet's by its name."""
    if detector.startswith("aligndet::") or "::" not in detector:
        return str(config_path(detector) or detector)
    return detector


def quoted(value: object) -> str:
    """A string literal."""
    return json.dumps(str(value), ensure_ascii=False)
