"""The check of one model: one training step, and its export into the stock detector."""

from __future__ import annotations

import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import torch
from mmengine.config import ConfigDict
from mmengine.logging import MessageHub
from mmengine.registry import init_default_scope

from aligndet.box_domain import BoxDomainPretrainer
from aligndet.box_domain.adapters import adapter_for, student
from aligndet.box_domain.adapters.base import head_config
from aligndet.box_domain.adapters.refusals import refuse
from aligndet.checking.batch import generated_batch
from aligndet.checking.conditions import CheckError, check_gradients, check_losses, check_still, require, some
from aligndet.checking.row import FAILED, NO_DETECTOR, NOT_MMDET, OK, REFUSED, UNREADABLE, Row
from aligndet.checking.zoo import heads, read_model
from aligndet.common.errors import InputError
from aligndet.transfer.fit import fit, of_classifier
from aligndet.transfer.source import Checkpoint, network_state
from aligndet.transfer.stock import box_part_keys, build_stock, classifier_layers, quiet

#: Sides of the images, pixels: the next is tried where the check fails at one (SSD wants 300, DINO 900 cells)
SIZES = (128, 320)


def check_config(name: str, threads: int = 0) -> Row:
    """Check the model of a config; whatever goes wrong is in the row.

    Args:
        name: of the config, see :func:`read_model`.
        threads: of torch, for this process; 0 leaves them.
    """
    started = time.process_time()
    if threads:
        torch.set_num_threads(threads)
    row = Row(name, family=Path(name).parts[0], status=UNREADABLE)
    try:
        with quiet(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = read_model(name)
            if model is None:
                row.status, row.reason = NO_DETECTOR, "the config has no model"
            else:
                row.status = FAILED
                check_model(model, row)
    except InputError as error:
        row.reason = row.reason or str(error).removeprefix(f"config {name}: ")
        row.trace = traceback.format_exc()
    except Exception as error:  # one broken model must not end the table
        row.reason = row.reason or one_line(error)
        row.trace = traceback.format_exc()
    row.seconds = time.process_time() - started
    return row


def check_model(model: ConfigDict, row: Row, sizes: tuple[int, ...] = SIZES) -> None:
    """Check a model and fill in its row.

    Args:
        model: an mmdet model config without weights to download.
        row: filled in as far as the check comes.
        sizes: sides of images that are tried, one after the other.

    Raises:
        CheckError: a condition does not hold. Others as mmdet's and the pre-trainer's.
    """
    init_default_scope("mmdet")
    row.detector, row.head = str(model.get("type")), ", ".join(heads(model))
    try:
        refuse(model)
        head_config(model)
    except ValueError as error:
        row.status, row.reason = REFUSED, one_line(error)
        return
    row.adapter = adapter_for(ConfigDict(model)).__name__
    for row.size in sizes:
        try:
            pretrainer = step(model, row)
            break
        except Exception:
            if row.size == sizes[-1]:
                blame_mmdet(model, row)
                raise
    export(pretrainer, model, row)
    row.status = OK


def blame_mmdet(model: ConfigDict, row: Row) -> None:
    """Say in the row when the unmodified detector cannot be built either."""
    try:
        build_stock(model)
    except ValueError as error:
        row.status, row.reason = NOT_MMDET, one_line(error)


def step(model: ConfigDict, row: Row) -> BoxDomainPretrainer:
    """One training step of a new pre-trainer with nothing but the detector given, and what must hold then.

    Raises:
        CheckError: a condition does not hold.
    """
    hub = MessageHub.get_current_instance()
    for counter in ("iter", "epoch"):
        hub.update_info(counter, 0)  # TOOD and YOLOX read them, and there is no runner
    torch.manual_seed(0)
    pretrainer = BoxDomainPretrainer(detector=without_batch_augments(model))
    pretrainer.init_weights()
    pretrainer.train()
    seen: list[Any] = []
    pretrainer.online_adapter.register_forward_hook(lambda module, args, result: seen.append(result[0]))
    before = {key: value.clone() for key, value in pretrainer.online.backbone.state_dict().items()}
    trained = [p for p in pretrainer.parameters() if p.requires_grad]
    optimiser = torch.optim.SGD(trained, lr=1e-4)

    data = pretrainer.data_preprocessor(generated_batch(size=row.size), True)
    losses = pretrainer(**data, mode="loss")
    pretrainer.parse_losses(losses)[0].backward()
    row.slots, row.positives = len(seen[0]), int((seen[0].ids >= 0).sum())
    check_losses(losses, row)
    check_gradients(pretrainer)
    optimiser.step()
    pretrainer.follow(0.99)
    check_still(before, pretrainer.online.backbone)
    return pretrainer


def export(pretrainer: BoxDomainPretrainer, model: ConfigDict, row: Row) -> None:
    """Export, and load into the unmodified detector: only classifiers may be missing.

    Raises:
        CheckError: another tensor is missing, or one that was trained found no place.
    """
    source = student(model)
    stock, classifiers = build_stock(source), classifier_layers(source)
    state = network_state(Checkpoint(Path(row.config), pretrainer.state_dict(), {}), "online")
    fitted, report = fit(state, stock, classifiers, row.config, "online", box_part_keys(source))
    loaded = stock.load_state_dict(fitted, strict=False)
    row.kept, row.initial = len(report.kept) + len(report.tiled), len(report.initial)
    row.missing = len(loaded.missing_keys)
    other = [key for key in loaded.missing_keys if not of_classifier(key, classifiers)]
    require(not other, f"{len(other)} tensors are missing beside classifiers: {some(other)}")
    require(not loaded.unexpected_keys, f"the stock detector does not know {some(loaded.unexpected_keys)}")
    foreign = [key for key in report.dropped if not of_classifier(key, classifiers)]
    require(not foreign, f"{len(foreign)} trained tensors fit nowhere: {some(foreign)}")
    now = stock.state_dict()
    changed = [key for key in report.kept if not torch.equal(now[key], state[key])]
    require(not changed, f"{len(changed)} tensors changed on the way: {some(changed)}")


def without_batch_augments(model: ConfigDict) -> ConfigDict:
    """A copy of a model config whose images keep their size: no padding of batches to 1024 px, say."""
    plain = ConfigDict(model)
    if isinstance(plain.get("data_preprocessor"), dict):
        plain.data_preprocessor = {k: v for k, v in plain.data_preprocessor.items() if k != "batch_augments"}
    return plain


def one_line(error: BaseException) -> str:
    """An error for a cell of a table."""
    text = " ".join(str(error).split())
    kind = "" if isinstance(error, (CheckError, ValueError)) else f"{type(error).__name__}: "
    return (kind + text)[:400]
