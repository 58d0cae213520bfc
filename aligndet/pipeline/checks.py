"""Checks before any work: what a question names is there, and every stage's config can be built."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from aligndet.common.configs import locate_config
from aligndet.common.errors import InputError
from aligndet.common.fit_of_labels import check_fit
from aligndet.common.labels.reader import class_names, read_labels
from aligndet.pipeline import plan
from aligndet.pipeline.contents import CONFIGS, image_table
from aligndet.pipeline.leaks import leaks_of_pretraining
from aligndet.pipeline.question import Question, label


@dataclass(frozen=True)
class CheckResult:
    """What the stages will do.

    Attributes:
        lengths: how much work each stage is, in words, by name.
        files: checkpoints on this machine that configs name.
        warnings: what a person should know.
    """

    lengths: dict[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def check_question(question: Question) -> tuple[str, ...]:
    """Check what needs neither torch nor mmdet.

    Returns:
        How labels and images fit, in a line for each label file.

    Raises:
        InputError: names the option, what was expected, and how to mend it.
    """
    _check_pairs(question)
    _check_paths(question)
    _check_numbers(question)
    if not question.generate:
        image_table(question)
    return _check_labels(question) if question.train and question.val else ()


def _check_labels(question: Question) -> tuple[str, ...]:
    """Refuse labels that cannot be learnt from, of other classes, or of other images."""
    read, fits = [], []
    for name, folder in zip(("train", "val"), question.label_folders, strict=True):
        labels = read_labels(getattr(question, name), folder, name)
        if not labels.report.boxes:
            raise InputError(f"--{name} {labels.path}: not one box in it; expected labelled images")
        if not Path(folder).is_dir():
            raise InputError(f"--{name}-images: give the folder of the images of --{name}; {folder} is none")
        fits.append(check_fit(labels, Path(folder), f"--{name}", f"--{name}-images").line())
        read.append(labels)
    class_names(*read)
    return tuple(fits)


def _check_pairs(question: Question) -> None:
    if (question.train is None) != (question.val is None):
        raise InputError("--train and --val go together: labels to fine-tune on, and labels to report AP on")
    if question.weights and question.image_config:
        raise InputError("--weights loads a backbone, --image-config trains one: give one of the two")
    if question.iters and question.epochs:
        raise InputError("--iters and --epochs: give one of the two")
    if question.image_options and not question.image_config:
        raise InputError("--image-options: there is no --image-config that they would change")


def _check_paths(question: Question) -> None:
    for name in ("detector", "image_config", "box_config"):
        if value := getattr(question, name):
            locate_config(value)
    for name in ("proposals", "train", "val"):
        value = getattr(question, name)
        if value and not Path(value).exists():
            raise InputError(f"{label(name)} {value}: there is no such file or folder")
    for name in ("train_images", "val_images"):
        value = getattr(question, name)
        if value and not Path(value).is_dir():
            raise InputError(f"{label(name)} {value}: there is no such folder")


def _check_numbers(question: Question) -> None:
    counts = ("seeds", "nan_patience", "iters", "epochs", "max_iters", "compare_iters", "compare_batch")
    least = dict.fromkeys(counts, 1)
    for item in fields(question):
        value = getattr(question, item.name)
        if item.name in least and value is not None and value < least[item.name]:
            raise InputError(f"{label(item.name)} {value}: at least {least[item.name]}")
    if any(not 0 < value <= 100 for value in question.percent):
        raise InputError(f"--percent {_words(question.percent)}: expected numbers above 0 and up to 100")
    if any(not value > 0 for value in question.lr):
        raise InputError(f"--lr {_words(question.lr)}: expected numbers above 0")


def _words(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:g}" for value in values)


def check_stages(question: Question) -> CheckResult:
    """Build every stage's config.

    Raises:
        InputError: one cannot be built, or they do not fit each other.
    """
    from aligndet.common.configs import read_config

    configs = {name: read_config(value) for name in CONFIGS if (value := getattr(question, name))}
    # a config that is wrong need not wait for torch
    from aligndet.common.trust import trusting
    from aligndet.image_domain.normalisation import checkpoints_of

    _check_machine(question)
    _check_kind(configs["detector"])
    lengths = {}
    for module in plan.modules():
        check: Any = getattr(module, "check", None)
        stage = module.plan(question)
        if check and stage is not None:
            with trusting(question.trust):
                lengths[stage.name] = check(question) or ""
    named = [file for _, file in checkpoints_of(configs["detector"])]
    files = tuple(str(Path(file).absolute()) for file in named if Path(file).is_file())
    return CheckResult(lengths, files, leaks_of_pretraining(question))


def _check_kind(detector: Any) -> None:
    """Refuse a detector that nobody here could pre-train, before anything about its data or weights."""
    from aligndet.box_domain.adapters import refuse_config
    from aligndet.scopes import scope_of

    if isinstance(detector.get("model"), dict):
        with scope_of(detector):
            refuse_config(detector)


def _check_machine(question: Question) -> None:
    """Refuse what this machine has not."""
    import torch

    there = torch.cuda.device_count()
    if question.amp and not there:
        raise InputError("--amp: mixed precision needs a GPU, and torch sees none; leave it out")
    if there and question.gpus > there:
        raise InputError(f"--gpus {question.gpus}: torch sees {there}")
