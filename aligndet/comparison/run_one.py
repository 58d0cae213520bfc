"""Do one run in its own process: ``python -m aligndet.comparison.run_one RUN_DIR --threads N``.

The folder holds ``config.py``; the process trains, predicts on each evaluation set, scores the predictions
with COCO's measure, and writes ``result.json`` last and atomically. ``progress.json`` tells how far it is.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import aligndet  # noqa: F401  (before mmdet: provides the stand-in for missing compiled ops)
from aligndet.common.errors import InputError
from aligndet.common.files import write_json
from aligndet.common.search_path import put_current_folder_last
from aligndet.common.signals import Stopped
from aligndet.common.work_dir import locked

#: Seconds to wait for the process of a comparison that was killed: it ends after its step.
PATIENCE = 60.0


def build_runner(folder: Path) -> tuple[Any, dict[str, Any]]:
    """Build the runner of a run folder, to resume from its last checkpoint where it has one.

    Returns:
        The runner and the data loader configs of the evaluation sets.
    """
    import torch

    from aligndet.common.configs import read_config
    from aligndet.comparison.hooks import FreezeBackboneHook, WatchHook
    from aligndet.training.finite import PATIENCE as BAD_STEPS
    from aligndet.training.runner import runner_of

    config = read_config(str(folder / "config.py"))
    eval_loaders, freeze = config.pop("compare_eval"), config.pop("compare_freeze_backbone", False)
    bad_steps = config.pop("compare_nan_patience", BAD_STEPS)
    config.work_dir = str(folder / "train")
    runner = runner_of(config, goes_on=True, nan_patience=bad_steps)
    runner.register_hook(WatchHook(folder / "progress.json"), priority="VERY_LOW")
    if not len(runner.train_dataloader.dataset):
        raise InputError(
            f"{folder}: the data set's filter leaves no training image; check filter_cfg.min_size"
        )
    if freeze:
        runner.register_hook(FreezeBackboneHook(runner.model), priority="VERY_HIGH")
    if not torch.cuda.is_available():
        # A sixth less CPU time per step for a small convolutional detector; the numbers stay the same.
        runner.model.to(memory_format=torch.channels_last)
    return runner, eval_loaders


def train_and_score(folder: Path) -> dict[str, Any]:
    """Train the run in ``folder`` and score it.

    Returns:
        The content of ``result.json``: ``metrics[set][measure]`` in 0..1, seconds, ``warnings``, and
        ``diverged``: steps in a row were not finite, or the weights became so, for which every measure is 0.
    """
    from aligndet.common.notices import warnings_of_a_run

    with warnings_of_a_run() as told:
        return {**_train_and_score(folder), "warnings": told}


def _train_and_score(folder: Path) -> dict[str, Any]:
    from aligndet.comparison.score import no_scores
    from aligndet.training.finite import DivergedError

    runner, eval_loaders = build_runner(folder)
    begin = time.perf_counter()
    try:
        runner.train()
    except DivergedError as error:
        print(f"diverged: {error}", flush=True)
        metrics = {name: no_scores() for name in eval_loaders}
        return {"metrics": metrics, "diverged": True, "train_seconds": time.perf_counter() - begin}
    trained = time.perf_counter()
    metrics = {name: evaluate(runner, loader) for name, loader in eval_loaders.items()}
    seconds = {"train_seconds": trained - begin, "eval_seconds": time.perf_counter() - trained}
    return {"metrics": metrics, "diverged": False, **seconds}


def evaluate(runner: Any, loader: Any) -> dict[str, float]:
    """Predict with the trained model on one evaluation set, and score its boxes: 0..1 by measure.

    Raises:
        TooManyBadError: more of its images are bad than may be.
    """
    from mmengine.model import is_model_wrapper

    from aligndet.common.images.replaced import BLACK
    from aligndet.comparison.score import coco_results, coco_scores
    from aligndet.training.bad_images import Watch
    from aligndet.transfer.finetune import dataset_leaf

    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    annotations = Path(dataset_leaf(loader["dataset"])["ann_file"])
    images = runner.build_dataloader(loader)
    watch = Watch(images.dataset, BLACK)
    results = coco_results(model, images)
    watch.look().refuse_many("the same command then goes on")
    return coco_scores(annotations, results)


def main(argv: list[str] | None = None) -> int:
    """Do the run in the folder that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args(argv)
    put_current_folder_last()
    import cv2
    import torch

    torch.set_num_threads(args.threads)
    cv2.setNumThreads(0)
    try:
        with locked(args.folder / "train", "compare's run", patience=PATIENCE):
            result = train_and_score(args.folder)
    except Stopped as stopped:
        print(stopped, flush=True)
        raise
    write_json(args.folder / "result.json", result, indent=1)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
