"""What a comparison is asked to do: starts, data, budget, seeds."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aligndet.common.errors import InputError


@dataclass(frozen=True)
class Start:
    """One arm of the comparison: a name and the checkpoint that its runs load.

    Attributes:
        name: letters, digits, ``_``, ``-`` and ``.``; used in tables and folder names.
        checkpoint: of a detector, of pre-training or of a backbone; None is the config as it stands, so that
            only the backbone is initialised and neck and head are random.
    """

    name: str
    checkpoint: Path | None = None


@dataclass(frozen=True)
class EvalSet:
    """Annotated images that runs are scored on.

    Attributes:
        annotations: COCO json.
        images: the folder its ``file_name`` entries are relative to.
    """

    annotations: Path
    images: Path


@dataclass(frozen=True)
class Settings:
    """A whole comparison; every start gets exactly this.

    Attributes:
        config: fine-tune config, any stock mmdet config of a box detector.
        starts: the arms; the first without checkpoint (else the first) is the baseline.
        train: the labelled images, all of them; fractions are drawn from here.
        report: images behind the reported AP.
        tune: images behind the choice of the learning rate.
        iters: training iterations by percentage of the labels, e.g. ``{1.0: 100, 10.0: 300}``.
        lrs: learning rates that the search tries.
        seeds: number of paired seeds; seed ``s`` trains on fold ``s + 1`` of the label split.
        search_seeds: how many of the seeds, from the first, run every learning rate.
        batch: images per iteration; None keeps the config's.
        schedule: ``step`` (a tenth at 2/3 and again at 8/9) or ``cosine``, both after a short warm-up.
        workers: data loader processes per run; 0 loads in the training process.
        threads: torch threads per run. jobs: runs at the same time.
        save_every: iterations between resumable checkpoints; None is a quarter of the run.
        keep_checkpoints: keep each run's last checkpoint instead of deleting it.
        freeze_backbone: train neck and heads only, for all starts: several times cheaper on a CPU.
        cfg_options: mmdet's ``--cfg-options``, applied before everything above.
    """

    config: Path
    starts: tuple[Start, ...]
    train: EvalSet
    report: EvalSet
    tune: EvalSet
    work_dir: Path
    iters: dict[float, int]
    lrs: tuple[float, ...]
    seeds: int = 3
    search_seeds: int = 1
    batch: int | None = None
    schedule: str = "step"
    workers: int = 0
    threads: int = 1
    jobs: int = 1
    save_every: int | None = None
    keep_checkpoints: bool = False
    freeze_backbone: bool = False
    cfg_options: dict[str, Any] = field(default_factory=dict)

    @property
    def baseline(self) -> Start:
        """The start that the others are compared with."""
        return next((start for start in self.starts if start.checkpoint is None), self.starts[0])


def parse_start(text: str) -> Start:
    """Read ``NAME=CKPT``; ``NAME=`` is the config's own initialisation.

    Raises:
        InputError: no ``=``, or a name that cannot be a folder name.
        InputError: no such checkpoint.
    """
    name, equals, checkpoint = text.partition("=")
    if not equals or not re.fullmatch(r"[\w.-]+", name):
        raise InputError(f"--start {text!r}: expected NAME=CHECKPOINT, or NAME= for no checkpoint")
    if not checkpoint:
        return Start(name)
    path = Path(checkpoint)
    if not path.is_file():
        raise InputError(f"--start {name}: there is no file {checkpoint}")
    return Start(name, path)


def parse_iters(words: Sequence[str], percents: Sequence[float]) -> dict[float, int]:
    """Read ``--iters 200`` or ``--iters 1:100 10:300 100:600`` into iterations by percentage.

    Raises:
        InputError: not of that form, or a percentage of ``percents`` without iterations.
    """
    common, by_percent = None, {}
    for word in words:
        percent, colon, count = word.rpartition(":")
        try:
            if colon:
                by_percent[float(percent)] = int(count)
            else:
                common = int(count)
        except ValueError as error:
            raise InputError(f"--iters {word!r}: expected ITERS or PERCENT:ITERS") from error
    chosen = {percent: by_percent.get(percent, common) for percent in sorted(percents)}
    missing = [f"{percent:g}" for percent, count in chosen.items() if count is None]
    if missing:
        raise InputError(f"--iters says nothing about {', '.join(missing)} % (write {missing[0]}:ITERS)")
    return {percent: count for percent, count in chosen.items() if count is not None}
