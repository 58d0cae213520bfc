"""Configs that are for another program, or for an earlier mmdet: told by what stands in them, and named."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from aligndet.common.errors import InputError

#: Keys at the top that only mmdet 2 and its siblings of that time read.
OF_MMDET_2 = (
    *("img_norm_cfg", "lr_config", "optimizer_config", "checkpoint_config", "log_config", "runner"),
    *("optimizer", "workflow", "dist_params"),
)
#: Keys of ``data`` then, and transforms that there are no more.
DATA_OF_MMDET_2 = ("samples_per_gpu", "imgs_per_gpu", "workers_per_gpu", "train", "val")
TRANSFORMS_OF_MMDET_2 = ("DefaultFormatBundle", "Collect", "ImageToTensor", "MultiScaleFlipAug")
#: What a config is for by the beginning of its model's type; else mmdet.
SIBLINGS = {
    "EncoderDecoder": "mmseg 0.x",
    "ImageClassifier": "mmcls",
    "Rotated": "mmrotate 0.x",
    "Oriented": "mmrotate 0.x",
    "RoITransformer": "mmrotate 0.x",
    "R3Det": "mmrotate 0.x",
    "S2ANet": "mmrotate 0.x",
    "ReDet": "mmrotate 0.x",
}
#: Keys at the top that say which other program reads a file, all of them.
OTHERS = {
    ("MODEL",): "detectron2",
    ("_BASE_",): "detectron2",
    ("nc", "backbone", "head"): "ultralytics",
    ("names", "train", "val"): "ultralytics (a data set)",
    ("architecture",): "PaddleDetection",
    ("__include__",): "RT-DETR or D-FINE",
}
#: Packages that configs of another program import.
PACKAGES = {"detectron2": "detectron2", "yolox": "YOLOX", "ultralytics": "ultralytics", "detrex": "detrex"}
#: Scopes of OpenMMLab's libraries whose models find no boxes in images.
TASKS = {
    "mmseg": "segments",
    "mmpretrain": "looks at whole images",
    "mmcls": "looks at whole images",
    "mmpose": "finds key points",
    "mmaction": "recognises actions",
    "mmagic": "makes images",
    "mmocr": "reads text",
    "mmdet3d": "finds boxes in space",
}
GIVE = "give a config for mmdet 3"


def refuse_other_programs(name: str, config: Mapping[str, Any]) -> None:
    """Raise where a config is for another program, or for mmdet 2.

    Raises:
        InputError: names the program and what tells.
    """
    for keys, program in OTHERS.items():
        if all(key in config for key in keys) and "model" not in config:
            raise InputError(f"config {name}: it is for {program} (it has {', '.join(keys)}); {GIVE}")
    sign = next(_signs_of_mmdet_2(config), None)
    if sign:
        program = _sibling(config) or "mmdet 2"
        more = "; in mmdet 3 its images would be normalised otherwise" if "img_norm_cfg" in config else ""
        raise InputError(f"config {name}: it is for {program} (it has {sign}){more}; {GIVE}")


def refuse_other_tasks(name: str, config: Mapping[str, Any]) -> None:
    """Raise where the model of a config finds no boxes, by its ``default_scope``.

    Raises:
        InputError: names the library.
    """
    scope = config.get("default_scope")
    if isinstance(scope, str) and scope in TASKS and "." not in str(config["model"].get("type")):
        raise InputError(
            f"config {name}: it is for {scope} (default_scope), which {TASKS[scope]}; give the config of a "
            "detector"
        )


def program_of(text: str) -> str:
    """Name the program whose packages a config's text imports; empty where it is none that is known."""
    for package, program in PACKAGES.items():
        if re.search(rf"^\s*(from|import) {package}\b", text, re.MULTILINE):
            return f"it is for {program} (it imports {package}); {GIVE}"
    return ""


def _signs_of_mmdet_2(config: Mapping[str, Any]) -> Iterator[str]:
    """What tells a config of mmdet 2; where there is ``train_dataloader``, old keys are but leftovers."""
    if "train_dataloader" not in config:
        yield from (key for key in OF_MMDET_2 if key in config and "optim_wrapper" not in config)
        data = config.get("data")
        yield from (f"data.{key}" for key in DATA_OF_MMDET_2 if isinstance(data, Mapping) and key in data)
    steps = {str(step.get("type")) for step in _steps(_pipelines(config))}
    yield from (name for name in TRANSFORMS_OF_MMDET_2[:1] if name in steps)
    if set(TRANSFORMS_OF_MMDET_2) & steps and "Normalize" in steps and not _preprocessor(config):
        yield f"{next(name for name in TRANSFORMS_OF_MMDET_2 if name in steps)} in a pipeline"


def _pipelines(config: Mapping[str, Any]) -> list[Any]:
    loaders = [config.get(f"{part}_dataloader") for part in ("train", "val", "test")]
    datasets = [loader.get("dataset") for loader in loaders if isinstance(loader, Mapping)]
    given = [data.get("pipeline") for data in datasets if isinstance(data, Mapping)]
    variables = [config.get("train_pipeline"), config.get("test_pipeline")]
    return given if "train_dataloader" in config else [*given, *variables]


def _steps(node: Any) -> Iterator[Mapping[str, Any]]:
    """All transforms of pipelines, nested ones too."""
    if isinstance(node, Mapping):
        yield node
        yield from _steps(node.get("transforms"))
    elif isinstance(node, (list, tuple)):
        for item in node:
            yield from _steps(item)


def _preprocessor(config: Mapping[str, Any]) -> Any:
    model = config.get("model")
    inside = model.get("data_preprocessor") if isinstance(model, Mapping) else None
    return inside or config.get("data_preprocessor")


def _sibling(config: Mapping[str, Any]) -> str:
    """The library of mmdet 2's time that a config is for, where it is not mmdet."""
    model = config.get("model")
    kind = str(model.get("type")) if isinstance(model, Mapping) else ""
    return next((library for begin, library in SIBLINGS.items() if kind.startswith(begin)), "")
