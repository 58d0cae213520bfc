"""The stages that ``benchmarks/faults.py`` breaks: small, and with all that a resume could lose.

A stage is a command that runs in a folder of its own, in which ``data/`` is shared. Its configs have loading
processes, random augmentation, several checkpoints, and the hook that breaks the run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from aligndet.synthetic.shapes import CLASSES

STEPS = 12
HOOK = 'custom_imports = dict(imports=["fault_hook"])\n'
OWN = 'dict(type="mmengine.FaultHook")'
EVERY_3 = "default_hooks = dict(checkpoint=dict(by_epoch=False, interval=3, max_keep_ckpts={keep}))\n"

DETECTOR = """_base_ = "aligndet::demo/retinanet_r18.py"
model = dict(backbone=dict(init_cfg=None))
"""
SIMSIAM = (
    HOOK
    + f"""_base_ = "aligndet::demo/simsiam_r18.py"
view = [dict(type="RandomResizedCrop", scale=32), *_base_.view_pipeline[1:]]
many = dict(type="MultiView", num_views=2, transforms=[view])
load, _, pack = _base_.train_dataloader.dataset.pipeline
images = dict(data_root="DATA/images/unlabelled", pipeline=[load, many, pack])
train_dataloader = dict(batch_size=8, dataset=images)
train_cfg = dict(max_iters={STEPS})
custom_hooks = [*_base_.custom_hooks, {OWN}]
"""
    + EVERY_3
)
INSLOC = (
    HOOK
    + f"""_base_ = "aligndet::image_domain/insloc_r18_fpn_64px_folder.py"
model = dict(queue_len=64)
train_dataloader = dict(batch_size=8, dataset=dict(data_root="DATA/images/unlabelled"))
train_cfg = dict(max_epochs=4)
optim_wrapper = dict(accumulative_counts=2)
custom_hooks = [*_base_.get("custom_hooks", []), {OWN}]
default_hooks = dict(checkpoint=dict(by_epoch=True, interval=1, max_keep_ckpts={{keep}}))
"""
)
BOX_DOMAIN = (
    HOOK
    + f"""_base_ = "aligndet::box_domain/retinanet_lite0_256px.py"
model = dict(detector="HERE/detector.py", adapter=dict(embed_dim=16, num_slots=96))
view = [
    dict(type="RandomChoiceResize", scales=[(64, 64), (96, 96)], keep_ratio=True, resize_type="mmdet.Resize"),
    *_base_.view[1:],
]
train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        ann_file="DATA/proposals",
        data_prefix=dict(img="DATA/images/unlabelled"),
        pipeline=[
            *_base_.train_dataloader.dataset.pipeline[:4],
            dict(type="mmdet.MultiBranch", branch_field=["online", "momentum"], online=view, momentum=view),
        ],
    ),
)
train_cfg = dict(max_epochs=2)
custom_hooks = [*_base_.custom_hooks, {OWN}]
"""
    + EVERY_3
)
COMPARISON = (
    HOOK
    + f"""_base_ = "detector.py"
data = dict(
    _delete_=True,
    type="CocoDataset",
    metainfo=dict(classes={CLASSES}),
    data_root="",
    ann_file="DATA/annotations/train.json",
    data_prefix=dict(img="DATA/images"),
    pipeline=_base_.train_pipeline,
)
train_dataloader = dict(batch_size=4, num_workers=1, dataset=data)
val_dataloader = dict(dataset=dict(ann_file="DATA/annotations/val.json", data_prefix=dict(img="DATA/images")))
model = dict(bbox_head=dict(num_classes={len(CLASSES)}))
custom_hooks = [{OWN}]
"""
)
FINE_TUNING = (
    COMPARISON
    + """val_dataloader = test_dataloader = val_cfg = test_cfg = val_evaluator = test_evaluator = None
train_cfg = dict(_delete_=True, type="EpochBasedTrainLoop", max_epochs=3)
"""
    + EVERY_3
)


@dataclass(frozen=True)
class Stage:
    """A command whose result does not depend on how often it was broken.

    Attributes:
        name: for the table.
        words: of the command; ``WORK`` in them is the folder of its work.
        again: further words by which an interrupted run goes on.
        result: reads what the command made, for comparison, out of the folder of its work.
        config: text of ``config.py``; ``DATA`` in it is the folder of the data, ``HERE`` that of the config.
        processes: that train together.
    """

    name: str
    words: tuple[str, ...]
    result: Callable[[Path], Any]
    again: tuple[str, ...] = ("--resume",)
    config: str = ""
    processes: int = 1


def last_checkpoint(work: Path) -> dict[str, Any]:
    """Read what must be equal of the last checkpoint in a work dir."""
    newest = max(work.glob("*.pth"), key=lambda file: int(file.stem.rpartition("_")[2]))
    content = torch.load(newest, weights_only=False)
    kept = {key: content[key] for key in ("state_dict", "optimizer", "param_schedulers")}
    return {**kept, "iter": content["meta"]["iter"], "epoch": content["meta"]["epoch"]}


def store(work: Path) -> dict[str, bytes]:
    """Read a proposal store, byte for byte."""
    return {file.name: file.read_bytes() for file in sorted(work.iterdir()) if not file.name.startswith(".")}


def scores(work: Path) -> Any:
    """Read the scores of a comparison."""
    return _without(json.loads((work / "results.json").read_text()), ("seconds", "time"))


def _without(value: Any, words: tuple[str, ...]) -> Any:
    if isinstance(value, Mapping):
        return {k: _without(v, words) for k, v in value.items() if not any(word in k for word in words)}
    return [_without(one, words) for one in value] if isinstance(value, list) else value


TRAIN = ("train", "config.py", "--work-dir", "WORK")
STAGES = (
    Stage("proposals", ("proposals", "make", "DATA/images/unlabelled", "WORK", "--min-side", "8"), store, ()),
    Stage("image domain (SimSiam)", TRAIN, last_checkpoint, config=SIMSIAM),
    Stage("image domain (InsLoc)", TRAIN, last_checkpoint, config=INSLOC),
    Stage("box domain", TRAIN, last_checkpoint, config=BOX_DOMAIN),
    Stage("box domain, 2 processes", TRAIN, last_checkpoint, config=BOX_DOMAIN, processes=2),
    Stage("fine-tuning", TRAIN, last_checkpoint, config=FINE_TUNING),
    Stage(
        "compare",
        (
            *("compare", "config.py", "--start", "random=", "--start", "second=", "--out", "WORK"),
            *("--train", "DATA/annotations/train.json", "--val", "DATA/annotations/val.json"),
            *("--images", "DATA/images", "--percent", "100", "--iters", str(STEPS), "--batch", "4"),
            *("--lr", "0.001", "--seeds", "1", "--save-every", "3", "--keep-checkpoints", "--loaders", "1"),
        ),
        scores,
        (),
        config=COMPARISON,
    ),
)
