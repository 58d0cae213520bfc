"""What the pipeline is asked to do, and what of it can be checked without loading torch."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from aligndet.common.errors import InputError, nearest

#: How fields are called on the command line, where that is not ``--name``.
LABELS = {"detector": "DETECTOR", "images": "IMAGES"}
#: Fields that change how fast or where work is done, and not what comes out of it.
NOT_DECISIVE = ("out", "workers", "gpus", "imports", "trust", "nan_patience")


@dataclass(frozen=True)
class Question:
    """What is asked; paths are absolute.

    Attributes:
        detector: fine-tune config of the detector, a file or ``'mmdet::…'``.
        images: unlabelled images: a folder, a list of files (.txt), or a COCO json.
        out: folder of everything that is made.
        proposals: made before, of these images; None makes them.
        weights: of the backbone, as ``aligndet backbone convert`` takes them.
        image_config: of an image-domain method to train instead. Neither: the detector's own ``init_cfg``.
        box_config: config of box-domain pre-training, but for detector and data; None is the recipe.
        finetune: also fine-tune, on the config's own data where no labels are given.
        compare: also compare fine-tuning from a random and from the pre-trained neck and head.
        train, val: labels (COCO json). train_images, val_images: folders of their images.
        percent: label fractions of the comparison. seeds: paired seeds. lr: rates to try, empty for a grid.
        compare_iters, compare_batch, compare_schedule: of each run of the comparison; None is its default.
        allow_leak: compare although images of ``val`` are in ``train``.
        iters, epochs: length of box-domain pre-training; None keeps the recipe's.
        max_iters: most iterations of every training. nan_patience: bad steps in a row that end one.
        workers: processes that search proposals, and runs of the comparison at a time; 0 is all cores.
        gpus: processes of each training; 0 or 1 is one. amp: mixed precision. seed: of everything.
        backend, backend_options: of the proposals' search. max_per_image, min_side, max_side: of its boxes
            and images; None keeps the defaults.
        image_options, box_options, finetune_options: dotted config keys and their values.
        imports: modules to import before configs are read. trust: read files that can run code.
        generate: images by split to generate instead of ``images``. copies: make small copies of at most so
            many of the images (the demo); 0 takes the images as they are.
        evidence_images: images that retrieval is measured on.
    """

    detector: str
    images: str
    out: str
    proposals: str | None = None
    weights: str | None = None
    image_config: str | None = None
    box_config: str | None = None
    finetune: bool = False
    compare: bool = False
    train: str | None = None
    val: str | None = None
    train_images: str | None = None
    val_images: str | None = None
    percent: tuple[float, ...] = (10.0, 100.0)
    seeds: int = 3
    lr: tuple[float, ...] = ()
    compare_iters: int | None = None
    compare_batch: int | None = None
    compare_schedule: str = "step"
    allow_leak: bool = False
    iters: int | None = None
    epochs: int | None = None
    max_iters: int | None = None
    nan_patience: int = 3
    workers: int = 0
    gpus: int = 0
    amp: bool = False
    seed: int = 0
    backend: str = "fast"
    backend_options: dict[str, Any] = field(default_factory=dict)
    max_per_image: int | None = None
    min_side: float | None = None
    max_side: int | None = None
    image_options: dict[str, Any] = field(default_factory=dict)
    box_options: dict[str, Any] = field(default_factory=dict)
    finetune_options: dict[str, Any] = field(default_factory=dict)
    imports: tuple[str, ...] = ()
    trust: bool = False
    generate: dict[str, int] = field(default_factory=dict)
    copies: int = 0
    evidence_images: int = 16

    @property
    def folder(self) -> Path:
        """The out folder."""
        return Path(self.out)

    def path(self, *parts: str) -> Path:
        """A file in the out folder."""
        return self.folder.joinpath(*parts)

    @property
    def prepared(self) -> bool:
        """Whether the images are made by the first stage, and not there before."""
        return bool(self.generate or self.copies)

    @property
    def unlabelled(self) -> str:
        """The images that pre-training sees."""
        return str(self.path("images", "images", "unlabelled")) if self.prepared else self.images

    @property
    def label_files(self) -> tuple[str, str] | None:
        """Labels to train on and to validate on; None without labels."""
        if self.generate:
            made = self.path("images", "annotations")
            return str(made / "train.json"), str(made / "val.json")
        return (self.train, self.val) if self.train and self.val else None

    @property
    def label_folders(self) -> tuple[str, str]:
        """Folders of the images of both label files."""
        if self.generate:
            return (str(self.path("images", "images")),) * 2
        first = self.train_images or self.images
        return first, self.val_images or first

    def decisive(self) -> dict[str, Any]:
        """What decides the result, by the names of the options."""
        return {
            label(item.name): getattr(self, item.name)
            for item in fields(self)
            if item.name not in NOT_DECISIVE
        }


def label(name: str) -> str:
    """How a field is called on the command line."""
    return LABELS.get(name, f"--{name.replace('_', '-')}")


def absolute(path: str | os.PathLike[str]) -> str:
    """A path as every process means it; ``~`` is expanded."""
    return os.path.abspath(os.path.expanduser(os.fspath(path)))


def absolute_config(name: str) -> str:
    """A config's name as every process means it."""
    return name if "::" in name else absolute(name)


def absolute_source(name: str) -> str:
    """The name of weights: a path where it is one, else as it is (``timm:…``, a URL)."""
    return absolute(name) if Path(os.path.expanduser(name)).exists() else name


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two questions, such as ``--max-iters: 2 before, 3 now``."""
    keys = [*before, *(key for key in now if key not in before)]
    return [
        f"{key}: {_shown(before.get(key))} before, {_shown(now.get(key))} now"
        for key in keys
        if before.get(key) != now.get(key)
    ]


def _shown(value: Any) -> str:
    if value in (None, "", {}, [], ()):
        return "not given"
    return "yes" if value is True else "no" if value is False else str(value)


CONFIG_NAMES = ("detector", "image_config", "box_config")
PATH_NAMES = ("images", "proposals", "train", "val", "train_images", "val_images", "out")


def make_question(detector: str, images: str | os.PathLike[str], **given: Any) -> Question:
    """Make a question from options as a user gives them; relative paths are of the current folder.

    Args:
        detector: config of the detector.
        images: unlabelled images.
        given: fields of :class:`Question` by name; what is None keeps its default.

    Raises:
        InputError: an option that there is not, or a backend's option without a value.
    """
    names = {item.name for item in fields(Question)}
    for name in given:
        if name not in names:
            raise InputError(f"there is no option {name!r}{nearest(name, names)}")
    asked = {"detector": detector, "images": images, **given}
    asked = {name: value for name, value in asked.items() if value is not None}
    asked.setdefault("out", default_out(detector, images))
    for name in CONFIG_NAMES:
        if name in asked:
            asked[name] = absolute_config(str(asked[name]))
    for name in PATH_NAMES:
        if name in asked:
            asked[name] = absolute(asked[name])
    if "weights" in asked:
        asked["weights"] = absolute_source(str(asked["weights"]))
    if not isinstance(asked.get("backend_options", {}), Mapping):
        asked["backend_options"] = _pairs(asked["backend_options"])
    if isinstance(asked.get("imports"), str):
        asked["imports"] = [asked["imports"]]
    for name in ("percent", "lr", "imports"):
        if name in asked:
            asked[name] = tuple(asked[name])
    for name in ("image_options", "box_options", "finetune_options", "backend_options"):
        if name in asked:
            asked[name] = dict(asked[name])
    labels = bool(asked.get("train") and asked.get("val"))
    asked.setdefault("compare", labels)
    asked.setdefault("finetune", labels)
    return Question(**asked)


def default_out(detector: str, images: str | os.PathLike[str]) -> str:
    """``runs/DETECTOR_IMAGES``."""
    parts = [part for part in Path(absolute(images)).parts if not glob.has_magic(part)]
    return str(Path("runs") / f"{Path(detector.rpartition('::')[2]).stem}_{Path(parts[-1]).stem}")


def _pairs(words: Sequence[str]) -> dict[str, str]:
    """``key=value`` words as a dictionary."""
    for word in words:
        if "=" not in word:
            raise InputError(f"--backend-options {word}: expected KEY=VALUE")
    return {word.partition("=")[0]: word.partition("=")[2] for word in words}
