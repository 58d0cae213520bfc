"""Whether a run that goes on from its checkpoint ends as the run without an interruption, bit for bit."""

import multiprocessing
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from mmengine.config import Config

from aligndet.training.run import build_runner

#: What a checkpoint holds besides the state of a run: times, logs, folders.
ASIDE = ("meta", "message_hub")
Change = Callable[[Config], object]


def by_steps(config: Config, steps: int) -> None:
    """Train so many steps, and count in steps."""
    config.train_cfg = {"type": "IterBasedTrainLoop", "max_iters": steps}
    config.log_processor = {"by_epoch": False}


def run(config: Config, work: Path, resume: Path | None = None, stop: int | None = None) -> None:
    """Train in ``work``, with a checkpoint of every step, from another's checkpoint or the beginning on."""
    config = config.copy()
    config.work_dir, config.experiment_name = str(work), f"{work.parent.name}_{work.name}"
    hook = {"type": "CheckpointHook", "by_epoch": False, "interval": 1, "max_keep_ckpts": -1}
    config.default_hooks = {**config.get("default_hooks", {}), "checkpoint": hook}
    with unformatted():
        build_runner(config, resume=str(resume) if resume else None, max_iters=stop).train()


def unformatted() -> AbstractContextManager[Any]:
    """Leave configs unformatted, which for every checkpoint takes longer than a step."""
    return mock.patch("yapf.yapflib.yapf_api.FormatCode", lambda text, **_: (text, True))


def in_two_processes(config: Config, work: Path, resume: Path | None = None) -> None:
    """As :func:`run`, on two processes joined by gloo."""
    config = config.copy()
    config.launcher = "pytorch"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_as_rank, args=(n, port, config, work, resume)) for n in (0, 1)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(200)
        assert process.exitcode == 0


def _as_rank(number: int, port: str, *arguments: Any) -> None:
    rank = {"RANK": str(number), "LOCAL_RANK": str(number), "WORLD_SIZE": "2"}
    os.environ.update(rank, MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
    run(*arguments)
    torch.distributed.destroy_process_group()
    os._exit(0)


def differing(config: Config, work: Path, steps: int, breaks: int, change: Change | None = None) -> list[str]:
    """Train ``steps`` steps, and again from the checkpoint of step ``breaks`` on.

    Args:
        config: of the run.
        work: folder for both.
        steps: of the whole run.
        breaks: steps before the interruption.
        change: applied to the config of the run that goes on, which must make no difference.

    Returns:
        The entries of the last checkpoints that are not the same.
    """
    run(config, work / "whole")
    resumed = config.copy()
    if change:
        change(resumed)
    run(resumed, work / "resumed", work / "whole" / f"iter_{breaks}.pth")
    assert not (work / "resumed" / f"iter_{breaks}.pth").exists()
    return unequal(work / "whole" / f"iter_{steps}.pth", work / "resumed" / f"iter_{steps}.pth")


def unequal(first: Path, second: Path) -> list[str]:
    """List what two checkpoints hold that is not the same, bit for bit."""
    one, other = (dict(leaves(entries(path), "")) for path in (first, second))
    assert any("optimizer" in name for name in one)
    names = [name for name in one if name not in other or not same(one[name], other[name])]
    return names + sorted(other.keys() - one.keys())


def entries(path: Path) -> dict[str, Any]:
    """Everything of a checkpoint that a run goes on with."""
    content = torch.load(path, map_location="cpu", weights_only=False)
    return {key: value for key, value in content.items() if key not in ASIDE}


def leaves(node: Any, place: str) -> Iterator[tuple[str, Any]]:
    """All that is neither dictionary nor list in a checkpoint, by its place."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from leaves(value, f"{place}/{key}")
    elif isinstance(node, (list, tuple)):
        for number, value in enumerate(node):
            yield from leaves(value, f"{place}/{number}")
    else:
        yield place, node


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same to the last bit; NaN is itself."""
    if isinstance(one, torch.Tensor):
        return bool(one.dtype == other.dtype and one.shape == other.shape) and (
            one.contiguous().view(-1).view(torch.uint8).equal(other.contiguous().view(-1).view(torch.uint8))
            if one.numel()
            else True
        )
    return bool(one == other)
