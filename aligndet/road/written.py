"""The configs that the road writes: short files over the user's own, which mmdet's train tool runs, too."""

from __future__ import annotations

import json
from pathlib import Path

from aligndet.road.plan import Road


def started_detector(road: Road, weights: Path, whole: bool) -> str:
    """The user's detector with the weights of the image domain.

    Args:
        road: what is asked.
        weights: a backbone; or, ``whole``, also neck and head (InsLoc).
    """
    init = f'dict(_delete_=True, type="Pretrained", checkpoint={quoted(weights)})'
    part = f"init_cfg={init}" if whole else f"backbone=dict(init_cfg={init}{_not_twice(road)})"
    return f"""# The detector with the weights of the image domain.
_base_ = {quoted(absolute(road, road.detector))}

model = dict({part})
"""


def _not_twice(road: Road) -> str:
    """timm's wrapper would download weights of its own before."""
    from aligndet.common.configs import read_config

    backbone = read_config(road.detector).model.backbone
    return ", pretrained=False" if backbone.get("pretrained") is True else ""


def box_domain(road: Road, config: str, detector: str | None, proposals: Path) -> str:
    """The user's pre-training config, on the road's proposals; its own detector where None is given."""
    model = f"model = dict(detector={quoted(detector)})\n" if detector else ""
    return f"""# Box-domain pre-training by {config}.
_base_ = {quoted(absolute(road, config))}

{model}train_dataloader = dict(
    dataset=dict(ann_file={quoted(proposals)}, data_prefix=dict(img={quoted(f"{road.images}/")}))
)
"""


def finetune(road: Road, weights: Path) -> str:
    """Fine-tuning from the exported detector, on the config's own data."""
    return f"""# Fine-tuning from the pre-trained detector. Everything else is the config's.
_base_ = {quoted(absolute(road, road.detector))}

load_from = {quoted(weights)}
model = dict(backbone=dict(init_cfg=None))  # load_from has the backbone, too
"""


def labelled_finetune(road: Road, weights: Path) -> str:
    """Fine-tuning from the exported detector on the user's labels: data and number of classes are put in.

    Raises:
        ValueError: the config has no detector with classes, or the annotation files disagree on classes.
    """
    from aligndet.common.configs import read_config
    from aligndet.comparison.runs import class_names, point_dataset, set_num_classes
    from aligndet.comparison.settings import EvalSet

    assert road.train is not None
    assert road.val is not None
    folder = road.labelled or road.images
    config = read_config(road.detector)
    classes = class_names(road.train, road.val)
    if not set_num_classes(config.model, len(classes)):
        raise ValueError(f"{road.detector}: no 'num_classes' in 'model'; is it a detector with classes?")
    for part, labels in (("train", road.train), ("val", road.val), ("test", road.val)):
        if config.get(f"{part}_dataloader"):
            point_dataset(config[f"{part}_dataloader"], EvalSet(labels, folder), classes)
    for part in ("val", "test"):
        found = config.get(f"{part}_evaluator") or {}
        metric = found.get("metric", "bbox") if isinstance(found, dict) else "bbox"
        ours = {"type": "mmdet.CocoMetric", "ann_file": str(road.val), "metric": metric}
        config[f"{part}_evaluator"] = ours
    config.load_from = str(weights)
    config.model.backbone.init_cfg = None
    text: str = config.pretty_text
    return text


def absolute(road: Road, config: str) -> str:
    """A config's name as another config in any folder can inherit it."""
    return config if "::" in config else str(road.root / config)


def quoted(value: object) -> str:
    """A string literal."""
    return json.dumps(str(value), ensure_ascii=False)
