"""Fit the tensors of a pre-training checkpoint, or of any detector's, into the stock detector.

The keys are the stock detector's. Classifiers are left out, box regression that was trained class-agnostic
is repeated for every class, and parts that pre-training left out (mask heads) get the stock detector's
initial values, so that loading into the unmodified detector misses the classifiers and nothing else.
"""

from collections.abc import Container
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor, nn

from aligndet.box_domain.adapters.heads import nearest_with
from aligndet.common.checkpoints import CheckpointError
from aligndet.transfer.report import TransferReport
from aligndet.transfer.source import (
    Checkpoint,
    State,
    looks_like,
    network_state,
)
from aligndet.transfer.stock import box_part_keys, build_stock, classifier_layers

BOX_SIZE = 4  # a box regressor has this many rows per class


def fit(
    source: State,
    stock: nn.Module,
    classifiers: list[str],
    name: str,
    network: str,
    trained: Container[str] | None = None,
) -> tuple[State, TransferReport]:
    """Give each tensor of the stock detector its value from ``source``, where it has one.

    Args:
        source: tensors under stock keys.
        stock: the detector, freshly initialised.
        classifiers: dotted names of its layers that follow the number of classes.
        name: of the checkpoint, for the report.
        network: ``online`` and ``momentum`` networks never give classifiers; a plain ``detector`` gives
            every tensor of the right shape.
        trained: keys that pre-training has (:func:`.stock.box_part_keys`); a stock tensor that is none of
            them (a mask head's) keeps its initial value and is no classifier that is missing. None: all.

    Returns:
        The state dict for the stock detector, classifiers excepted, and what became of each tensor.
    """
    wanted = stock.state_dict()
    report = TransferReport(name, network, parts={key: part_of(key, stock) for key in {**wanted, **source}})
    state: State = {}
    for key, initial in wanted.items():
        value = source.get(key)
        per_class = of_classifier(key, classifiers)
        repeats = regressor_repeats(key, value, initial, stock) if per_class else 0
        if value is not None and repeats:
            state[key] = tile(value, repeats)
            (report.kept if value.shape == initial.shape else report.tiled).append(key)
        elif value is not None and value.shape == initial.shape and not (per_class and network != "detector"):
            state[key] = value.clone()
            report.kept.append(key)
        elif network != "detector" and trained is not None and key not in trained:
            state[key] = initial.clone()
            report.initial.append(key)
        else:
            (report.classifier if per_class else report.missing).append(key)
    report.dropped = unused(source, set(report.kept) | set(report.tiled))
    return state, report


def of_classifier(key: str, classifiers: list[str]) -> bool:
    """Tell whether a tensor depends on the classes: a classifier's, or what a class loss keeps for itself.

    GHM's loss keeps a histogram of scores, Seesaw's counts the classes; pre-training has other scores.
    """
    return key.rpartition(".")[0] in classifiers or ".loss_cls." in key


def unused(source: State, used: set[str]) -> list[str]:
    """List the keys of ``source`` that are not used, further names of a used tensor left out.

    DDQ's decoder takes over layers of the head in its first forward pass, so they are stored twice.
    """
    storages = {source[key].data_ptr() for key in used if source[key].numel()}
    return [key for key in source if key not in used and source[key].data_ptr() not in storages]


def regressor_repeats(key: str, value: Tensor | None, initial: Tensor, stock: nn.Module) -> int:
    """Count how often a box regressor's four rows repeat to make the stock layer; 0 if they cannot.

    The layer must belong to a head that says ``reg_class_agnostic=False`` and has ``num_classes``. A
    regressor with equal rows for every class (itself made by repeating) counts as one of four rows.
    """
    head = nearest_with("num_classes", stock, key.rpartition(".")[0])
    classes = getattr(head, "num_classes", 0)
    if value is None or head is None or value.shape[1:] != initial.shape[1:]:
        return 0
    if getattr(head, "reg_class_agnostic", True) or len(initial) != BOX_SIZE * classes:
        return 0
    blocks = value.reshape(-1, BOX_SIZE, *value.shape[1:]) if len(value) % BOX_SIZE == 0 else value[:0]
    same = len(blocks) > 0 and bool((blocks == blocks[:1]).all())
    return classes if same else 0


def tile(value: Tensor, repeats: int) -> Tensor:
    """Repeat the first four rows: ``(4 * n, ...)`` gives ``(4 * repeats, ...)``."""
    return value[:BOX_SIZE].repeat(repeats, *([1] * (value.ndim - 1)))


def part_of(key: str, stock: nn.Module) -> str:
    """Name the part a tensor is reported under: ``neck``, or a head inside a part: ``roi_head.mask_head``."""
    path = key.split(".")[:-1]
    try:
        inner: Any = stock.get_submodule(".".join(path[:2])) if len(path) > 1 else None
    except AttributeError:
        inner = None
    is_head = isinstance(inner, BaseModule) and any(name.startswith("loss") for name in dir(inner))
    return ".".join(path[:2]) if is_head else key.split(".")[0]


def refuse_other_detector(report: TransferReport, detector: str) -> None:
    """Raise where a checkpoint does not belong to the detector."""
    taken = len(report.kept) + len(report.tiled)
    class_dependent = set(report.classifier)
    foreign = [key for key in report.dropped if key not in class_dependent]
    if not taken:
        raise CheckpointError(
            f"{report.source}: none of its {len(foreign)} tensors fits {detector}; it is of another detector"
        )
    if foreign or report.missing:
        kinds = {"does not fit": foreign, "is missing": report.missing}
        faults = "; ".join(f"{len(v)} {k}, such as {v[0]}" for k, v in kinds.items() if v)
        raise CheckpointError(
            f"{report.source}: of another detector than {detector} ({taken} tensors fit; {faults}). "
            "Give the config that was pre-trained, or none"
        )


def fit_plain(source: Checkpoint, config: Any) -> tuple[State, TransferReport]:
    """Fit any detector checkpoint, pre-training or plain, to a detector, whatever its number of classes.

    Raises:
        CheckpointError: nothing outside the backbone matches, or it is of another detector.
    """
    pretraining = source.is_pretraining or source.is_official
    network = "online" if pretraining else "detector"
    state = network_state(source, network) if pretraining else source.state
    stock = build_stock(config)
    trained = box_part_keys(config) if pretraining else None
    fitted, report = fit(state, stock, classifier_layers(config), str(source.path), network, trained)
    if pretraining:
        refuse_other_detector(report, type(stock).__name__)
    if all(report.parts[key] == "backbone" for key in report.kept + report.tiled):
        raise CheckpointError(
            f"{source.path}: nothing outside the backbone fits {type(stock).__name__}; "
            f"it looks like {looks_like(source.state)}"
        )
    return fitted, report
