"""What a comparison is asked to do: starts, data, budget, seeds."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Start:
    """Names one arm of the comparison and the checkpoint that its runs load.

    Attributes:
        name: letters, digits, ``_``, ``-`` and ``.``; used in tables and folder names.
        checkpoint: of a detector, of pre-training or of a backbone; None is the config as it stands, so that
            only the backbone is initialised and neck and head are random.
    """

    name: str
    checkpoint: Path | None = None


@dataclass(frozen=True)
class EvalSet:
    """Names annotated images that runs are trained or scored on.

    Attributes:
        annotations: COCO json.
        images: the folder its ``file_name`` entries are relative to.
    """

    annotations: Path
    images: Path


@dataclass(frozen=True)
class Settings:
    """Describes a whole comparison, which every start gets alike.

    Attributes:
        config: fine-tune config, any stock mmdet config of a box detector: a file or ``mmdet::name``.
        starts: the arms; the first without checkpoint (else the first) is the baseline.
        train: the labelled images, all of them; fractions are drawn from here.
        report: images behind the reported AP.
        tune: images behind the choice of the learning rate.
        halve: ``report`` is still to be cut in two: one half to report on, the other to tune on.
        work_dir: where everything is written.
        iters: training iterations by percentage of the labels, e.g. ``{1.0: 100, 10.0: 300}``.
        lrs: learning rates that the search tries.
        seeds: number of paired seeds; seed ``s`` trains on fold ``s + 1`` of the label split.
        search_seeds: how many of the seeds, from the first, run every learning rate.
        batch: images per iteration; None keeps the config's.
        schedule: ``step`` (a tenth at 2/3 and again at 8/9) or ``cosine``, both after a short warm-up.
        workers: runs at the same time.
        threads: torch threads per run.
        loaders: data loader processes per run; 0 loads in the training process.
        save_every: iterations between resumable checkpoints; None is a quarter of the run.
        nan_patience: steps in a row that may be not finite, before a run counts as diverged.
        keep_checkpoints: keep each run's last checkpoint instead of deleting it.
        freeze_backbone: train neck and heads only, for all starts: several times cheaper on a CPU.
        cfg_options: mmdet's ``--cfg-options``, applied before everything above.
        imports: modules of the user's that every run imports first.
        allow_leak: compare although images to report on are among those to train on.
        leak: which these are, in words; empty for none.
    """

    config: str
    starts: tuple[Start, ...]
    train: EvalSet
    report: EvalSet
    tune: EvalSet
    work_dir: Path
    iters: dict[float, int]
    lrs: tuple[float, ...]
    halve: bool = False
    seeds: int = 3
    search_seeds: int = 1
    batch: int | None = None
    schedule: str = "step"
    workers: int = 1
    threads: int = 1
    loaders: int = 0
    save_every: int | None = None
    nan_patience: int = 3
    keep_checkpoints: bool = False
    freeze_backbone: bool = False
    cfg_options: dict[str, Any] = field(default_factory=dict)
    imports: tuple[str, ...] = ()
    allow_leak: bool = False
    leak: str = ""

    @property
    def baseline(self) -> Start:
        """Choose the start that the others are compared with."""
        return next((start for start in self.starts if start.checkpoint is None), self.starts[0])
