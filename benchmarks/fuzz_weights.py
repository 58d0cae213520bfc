"""Damaged checkpoints and configs, for ``benchmarks/fuzz.py``: bytes, members, values and texts of them."""

from __future__ import annotations

import functools
import io
import json
import random
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from fuzz import changed_bytes
from safetensors.torch import save

from aligndet.common.config_text import config_text
from aligndet.common.configs import read_config

#: What a value may become; sizes stay such that a layer of them can be made.
ODD: list[Any] = [
    *(
        None,
        "",
        "x",
        "7",
        -1,
        0,
        1,
        1.5,
        True,
        float("nan"),
        float("inf"),
        [],
        {},
        [[]],
        [1, 2],
        {"a": 1},
        (),
    ),
    *(
        "a" * 5000,
        "\x00",
        "a\nb",
        "../x",
        "ResNet",
        "mmdet.ResNet",
        "os.system",
        "RetinaNet",
        b"x",
        ["x"] * 4,
    ),
    *({"type": "x"}, {"type": "mmdet.FPN"}, {"type": 3}, {"type": None}, torch.ones(1), torch.zeros(0)),
]
#: Of configs, whose values are written as text.
PLAIN = [value for value in ODD if not isinstance(value, torch.Tensor)]


def checkpoint_case(rng: random.Random, place: Path) -> list[list[str]]:
    """A checkpoint of box-domain pre-training with a fault, and what reads it."""
    (place / "detector.py").write_text(config_text(_detector()))
    content, kind = _content(), rng.random()
    path = place / "x.pth"
    if kind < 0.2:
        for _ in range(rng.choice((1, 1, 2, 4))):
            content = {**content, (key := rng.choice(list(content))): _changed(rng, content[key], ODD)}
        path.write_bytes(_saved(content, legacy=rng.random() < 0.2))
    elif kind < 0.45:
        model = _detector().model.to_dict()
        for _ in range(rng.choice((1, 1, 2))):
            model = {**model, (key := rng.choice(list(model))): _changed(rng, model[key], PLAIN)}
        whole = {"type": "aligndet.BoxDomainPretrainer", "detector": model}
        text = f"default_scope = 'mmdet'\nmodel = {whole!r}"
        path.write_bytes(_saved({**content, "meta": {**content["meta"], "cfg": text}}))
    elif kind < 0.55:
        text = changed_bytes(rng, content["meta"]["cfg"].encode()).decode("utf-8", "replace")
        path.write_bytes(_saved({**content, "meta": {**content["meta"], "cfg": text}}))
    elif kind < 0.7:
        path.write_bytes(_with_damaged_member(rng, _saved(content)))
    elif kind < 0.9:
        path.write_bytes(changed_bytes(rng, _saved(content, legacy=rng.random() < 0.4)))
    else:
        path = place / "x.safetensors"
        data = save(content["state_dict"], {"aligndet": json.dumps({"source": "x"})})
        head = rng.random() < 0.7  # names, shapes and offsets stand in the first bytes
        path.write_bytes(changed_bytes(rng, data[:400]) + data[400:] if head else changed_bytes(rng, data))
    return [["export", str(path), str(place / "out.pth")], _second(rng, path, place)]


def config_case(rng: random.Random, place: Path) -> list[list[str]]:
    """A user's config with a fault: Python, json or YAML."""
    (place / "x.pth").write_bytes(_saved(_content()))
    content: dict[str, Any] = _detector().to_dict()
    kind = rng.random()
    if kind < 0.5:
        for _ in range(rng.choice((1, 1, 2))):
            content = {**content, "model": _changed(rng, content["model"], PLAIN)}
        if rng.random() < 0.2:
            content["default_scope"] = rng.choice(PLAIN)
    if kind < 0.3 or 0.5 <= kind < 0.8:
        text = "\n".join(f"{key} = {value!r}" for key, value in content.items())
        path = place / "detector.py"
    else:
        text, path = (
            json.dumps(content, default=str),
            place / f"detector.{rng.choice(('json', 'yaml', 'yml'))}",
        )
    data = text.encode("utf-8", "replace")
    path.write_bytes(changed_bytes(rng, data) if kind >= 0.5 else data)
    words = rng.choice((["export"], ["backbone", "convert"]))
    return [[*words, str(place / "x.pth"), str(place / "out.pth"), "--config", str(path)]]


def _second(rng: random.Random, path: Path, place: Path) -> list[str]:
    """What else is done with a checkpoint."""
    out, config = str(place / "second.pth"), ["--config", str(place / "detector.py")]
    return rng.choice(
        (
            ["export", str(path), out, *config],
            ["export", str(path), out, *config, "--allow-partial", "--network", "momentum"],
            ["backbone", "convert", str(path), out, *config],
            ["backbone", "convert", str(path), out, *config, "--prefix", "online.backbone."],
            ["show", "neighbours", str(path), str(place / "n.png"), *_boxes(place)],
        )
    )


def _boxes(place: Path) -> list[str]:
    (place / "images").mkdir(exist_ok=True)
    cv2.imwrite(str(place / "images" / "a.png"), np.zeros((64, 64, 3), np.uint8))
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 40, 40], "area": 1600, "iscrowd": 0}
    images = [{"id": 1, "file_name": "a.png", "width": 64, "height": 64}]
    labels = {"images": images, "annotations": [box], "categories": [{"id": 1, "name": "a"}]}
    (place / "labels.json").write_text(json.dumps(labels))
    return ["--val", str(place / "labels.json"), "--images", str(place / "images")]


@functools.cache
def _detector() -> Any:
    """A RetinaNet of few channels."""
    from mmengine.config import Config

    from aligndet.transfer.stock import without_downloads

    model = without_downloads(read_config("mmdet::retinanet/retinanet_r18_fpn_1x_coco.py").model)
    model.backbone.update(base_channels=8)
    model.neck.update(in_channels=[8, 16, 32, 64], out_channels=16)
    model.bbox_head.update(in_channels=16, feat_channels=16, stacked_convs=1, num_classes=3)
    return Config({"default_scope": "mmdet", "model": model})


@functools.cache
def _state() -> dict[str, torch.Tensor]:
    from aligndet.transfer.stock import build_stock

    return {f"online.{key}": value for key, value in build_stock(_detector().model).state_dict().items()}


def _content() -> dict[str, Any]:
    """What a checkpoint of box-domain pre-training holds."""
    from mmengine.config import Config
    from mmengine.logging import HistoryBuffer

    history = HistoryBuffer([1.0, 2.0], [1, 1])
    model = {"type": "aligndet.BoxDomainPretrainer", "detector": _detector().model.to_dict()}
    meta = {"cfg": config_text(Config({"default_scope": "mmdet", "model": model})), "epoch": 1, "iter": 4}
    hub = {"log_scalars": {"train/loss": history}, "runtime_info": {"iter": 4}, "resumed_keys": {}}
    return {"meta": {**meta, "seed": 0}, "state_dict": dict(_state()), "message_hub": hub, "optimizer": {}}


def _changed(rng: random.Random, value: Any, odd: list[Any]) -> Any:
    """A value with one thing in it changed, or taken away."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(list(value))
        if rng.random() < 0.12:
            return {name: item for name, item in value.items() if name != key}
        return {**value, key: _changed(rng, value[key], odd)}
    if isinstance(value, list) and value and rng.random() < 0.8:
        place = rng.randrange(len(value))
        return [*value[:place], _changed(rng, value[place], odd), *value[place + 1 :]]
    return rng.choice(odd)


def _saved(content: Any, legacy: bool = False) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, _use_new_zipfile_serialization=not legacy)
    return stream.getvalue()


def _with_damaged_member(rng: random.Random, data: bytes) -> bytes:
    """An archive that is sound, with one member that is not."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as before, zipfile.ZipFile(stream, "w") as after:
        names = before.namelist()
        pickled = next(name for name in names if name.endswith("data.pkl"))
        damaged = pickled if rng.random() < 0.7 else rng.choice(names)
        for name in names:
            member = before.read(name)
            if name != damaged:
                after.writestr(name, member)
            elif rng.random() < 0.9:
                after.writestr(name, changed_bytes(rng, member))
    return stream.getvalue()
