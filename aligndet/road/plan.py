"""What the road is asked to do, and what is wrong with that, found before any work."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from aligndet.road.inputs import is_config


@dataclass(frozen=True)
class Road:
    """What the road is asked to do; paths are absolute.

    Attributes:
        root: of the repository, where commands run. work: folder of everything that is made.
        detector: fine-tune config of the detector, a file or ``'mmdet::…'``.
        images: folder of unlabelled images.
        proposals: made before, of these images; None makes them.
        backbone: weights to load in the image domain, as ``tools/convert_backbone.py`` takes them.
        image_config: of an image-domain method to train instead. Neither: the detector's own ``init_cfg``.
        box_config: whole pre-training config of the box domain; None is that of ``train.py --aligndet``.
        finetune: also fine-tune, on the config's own data where no labels are given.
        train, val: labels (COCO json) over ``labelled``, the folder of their images.
        options: words for ``--cfg-options`` of ``image``, ``box`` and ``finetune``, words for the tool of
            ``proposals``.
        gpus: processes of each training; 0 or 1 is one. amp: mixed precision.
        cores: CPU cores to use.
    """

    root: Path
    work: Path
    detector: str
    images: Path
    proposals: Path | None = None
    backbone: str | None = None
    image_config: str | None = None
    box_config: str | None = None
    finetune: bool = False
    train: Path | None = None
    val: Path | None = None
    labelled: Path | None = None
    options: dict[str, tuple[str, ...]] = field(default_factory=dict)
    gpus: int = 0
    amp: bool = False
    cores: int = 1

    def path(self, *parts: str) -> Path:
        """A file of the road."""
        return self.work.joinpath(*parts)

    def word(self, path: Path) -> str:
        """A path as commands show it: relative to the repository where it lies in there."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)

    def tool(self, name: str, *words: object) -> tuple[str, ...]:
        """The command of a tool."""
        return (sys.executable, f"tools/{name}.py", *self._words(words))

    def train_tool(
        self, config: Path | str, run: Path, options: tuple[str, ...], *more: object
    ) -> tuple[str, ...]:
        """The command of a training that goes on where it was interrupted; ``more`` are flags of its own."""
        flags: list[object] = [*more, "--work-dir", run, "--resume", *(["--amp"] if self.amp else [])]
        flags += ["--cfg-options", *options] if options else []
        if self.gpus > 1:
            return ("bash", "tools/dist_train.sh", *self._words([config, self.gpus, *flags]))
        return self.tool("train", config, *flags)

    def _words(self, words: object) -> list[str]:
        return [self.word(w) if isinstance(w, Path) else str(w) for w in words]  # type: ignore[attr-defined]


def check(road: Road) -> None:
    """Find what is wrong with the question.

    Raises:
        ValueError, FileNotFoundError: names the option and what was expected.
    """
    if not road.images.is_dir():
        raise FileNotFoundError(f"IMAGES {road.images}: there is no such folder")
    if (road.train is None) != (road.val is None):
        raise ValueError("--train and --val go together: COCO json files to fine-tune on and to report AP on")
    if road.backbone and road.image_config:
        raise ValueError("--backbone loads weights, --image-config trains them: give one of the two")
    for option in ("proposals", "train", "val", "labelled"):
        path = getattr(road, option)
        if path is not None and not path.exists():
            raise FileNotFoundError(f"--{option} {path}: there is no such file or folder")
    for name, config in (
        ("DETECTOR", road.detector),
        ("--image-config", road.image_config),
        ("--box-config", road.box_config),
    ):
        if config and not is_config(config, road.root):
            raise FileNotFoundError(f"{name} {config}: give a config file, or 'mmdet::folder/name.py'")
    _check_start(road)


def _check_start(road: Road) -> None:
    """The frozen backbone of the box domain must have learnt something."""
    from aligndet.common.configs import read_config
    from aligndet.image_domain.backbones import starts_pretrained
    from aligndet.image_domain.normalisation import checkpoints_of

    if road.backbone or road.image_config or road.box_config:
        return
    config = read_config(road.detector)
    whole = any(key == "model.init_cfg.checkpoint" for key, _ in checkpoints_of(config))
    if not whole and not starts_pretrained(config):
        raise ValueError(
            f"{road.detector} gives its backbone no weights, and the box domain freezes the backbone: "
            "train one with --image-config, or load one with --backbone"
        )
