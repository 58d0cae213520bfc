"""Break every stage in every way, go on by the same command, and compare with a run that nobody broke.

    python benchmarks/faults.py [--tries 5] [--seed 0] [--stage NAME] [--fault NAME] [--jobs 2] [--keep DIR]

A cell of the table is a stage and a fault, tried several times at steps that the seed draws. It counts the
tries whose last checkpoint (weights, optimiser, schedules), store or scores are those of the unbroken run,
bit for bit. What is not is printed with the folder that shows it (``--keep``), and the exit status is 1.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fault_hook import PLACES
from fault_stages import DETECTOR, STAGES, STEPS, Stage

from aligndet.synthetic.dataset import write_dataset

FAULTS = ("kill -9", "kill in writing", "SIGTERM", "damaged last file", "moved folder")
PROPOSALS = ("proposals", "make", "DATA/images/unlabelled")
LIMIT = 300  # seconds that a command may take
HERE = Path(__file__).parent
MODULES = (
    "aligndet.cli.main",
    "aligndet.cli.train",
    "aligndet.training.run",
    "mmdet.models",
    "mmpretrain.models",
)


@dataclass(frozen=True)
class Try:
    """One breaking of one stage."""

    stage: Stage
    fault: str
    number: int
    seed: int

    @property
    def draw(self) -> random.Random:
        """What decides where it breaks."""
        return random.Random(f"{self.seed} {self.stage.name} {self.fault} {self.number}")


class Folder:
    """A stage's working folder.

    Args:
        stage: whose config is written.
        root: of the folder; made. data: shared by all.
        keep: checkpoints that a run keeps.
    """

    def __init__(self, stage: Stage, root: Path, data: Path, keep: int = 1) -> None:
        self.stage, self.root, self.work, self.data = stage, root, root / "work", data
        root.mkdir(parents=True)
        for name, text in (("config.py", stage.config), ("detector.py", DETECTOR)):
            text = text.replace("DATA", str(data)).replace("HERE", str(root)).replace("{keep}", str(keep))
            (root / name).write_text(text)
        shutil.copy(HERE / "fault_hook.py", root)

    def run(self, fault: str = "", again: bool = False, seconds: float | None = None) -> int:
        """Run the stage's command; the result is its exit status.

        Args:
            fault: as ``FAULT`` of ``fault_hook.py``.
            again: with the words by which it goes on.
            seconds: after which it is killed.
        """
        words = [*self.stage.words, *(self.stage.again if again else ())]
        words = [word.replace("DATA", str(self.data)).replace("WORK", str(self.work)) for word in words]
        context: Any = multiprocessing.get_context("forkserver")
        process = context.Process(target=_command, args=(words, self.root, fault, self.stage.processes))
        process.start()
        process.join(seconds or LIMIT)
        if process.is_alive():
            os.kill(process.pid, signal.SIGTERM if fault.startswith("term") else signal.SIGKILL)
            process.join(LIMIT)
        status: int = process.exitcode
        _end_session(process.pid)
        return status

    def log(self) -> str:
        """What its commands printed."""
        return (self.root / "printed.txt").read_text(errors="replace")


def _command(words: list[str], folder: Path, fault: str, processes: int) -> None:
    """Be one command, in a session of its own."""
    os.setsid()
    os.chdir(folder)
    out = os.open(folder / "printed.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.environ.update(FAULT=fault, OMP_NUM_THREADS="1", PYTHONSAFEPATH="1")
    if processes > 1:
        launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
        call = [sys.executable, *launch, "-m", "aligndet", *words, "--launcher", "pytorch"]
        os.environ["FAULT_RANK"] = str(sum(map(ord, fault)) % processes)
        os.execv(sys.executable, call)
    torch.set_num_threads(1)
    from aligndet.cli.main import main

    sys.exit(main(words))


def _end_session(number: int) -> None:
    """End what a killed command left behind: its loading processes notice only after seconds."""
    try:
        os.killpg(number, signal.SIGKILL)
    except ProcessLookupError:
        return


def attempt(one: Try, root: Path, data: Path, expected: Any) -> str:
    """Break a stage, go on, and say what is wrong with the result; empty where nothing is."""
    folder = Folder(one.stage, root, data, keep=1 if one.fault == "kill in writing" else 2)
    broken = BREAKING[one.fault](folder, one.draw)
    if broken:
        return broken
    status = folder.run(again=True)
    if status:
        return f"going on ended with exit status {status}"
    return difference(expected, one.stage.result(folder.work))


def _killed(folder: Folder, draw: random.Random) -> str:
    if folder.stage.name == "proposals":
        status = folder.run(seconds=draw.uniform(0.2, 2.0))
    else:
        status = folder.run(f"kill:{draw.randrange(STEPS)}")
    return "" if status else "was not broken"


def _killed_in_writing(folder: Folder, draw: random.Random) -> str:
    status = folder.run(f"write:{draw.randrange(STEPS - 1)}:{draw.choice(PLACES)}")
    return "" if status else "was not broken"


def _terminated(folder: Folder, draw: random.Random) -> str:
    status = folder.run(f"term:{draw.randrange(STEPS)}")
    return "" if status in (143, 1) else f"ended with exit status {status}, expected 143"


def _damaged(folder: Folder, draw: random.Random) -> str:
    wrong = folder.run(f"kill:{draw.randrange(STEPS // 2, STEPS)}")
    files = sorted(folder.work.rglob("*.pth"), key=lambda file: file.stat().st_mtime)
    if not wrong or not files:
        return "was not broken" if not wrong else "left no checkpoint"
    content = bytearray(files[-1].read_bytes())
    way = draw.randrange(3)
    if way == 0:
        del content[draw.randrange(len(content)) :]
    elif way == 1:
        content[draw.randrange(len(content) // 4, 3 * len(content) // 4)] ^= 0x10
    else:
        content[:] = bytes(len(content))
    files[-1].write_bytes(content)
    return ""


def _moved(folder: Folder, draw: random.Random) -> str:
    if broken := _killed(folder, draw):
        return broken
    elsewhere = folder.work.with_name("elsewhere")
    if folder.work.exists():
        folder.work.rename(elsewhere)
    folder.work = elsewhere
    return ""


BREAKING = dict(zip(FAULTS, (_killed, _killed_in_writing, _terminated, _damaged, _moved), strict=True))


def difference(expected: Any, got: Any, place: str = "") -> str:
    """Say where two results differ first; empty where they are equal, bit for bit."""
    if isinstance(expected, dict) and isinstance(got, dict):
        if expected.keys() != got.keys():
            return f"{place}: other keys: {sorted(map(str, expected.keys() ^ got.keys()))[:3]}"
        return next(filter(None, (difference(v, got[k], f"{place}.{k}") for k, v in expected.items())), "")
    if isinstance(expected, (list, tuple)) and isinstance(got, (list, tuple)):
        if len(expected) != len(got):
            return f"{place}: {len(got)} instead of {len(expected)}"
        pairs = enumerate(zip(expected, got, strict=True))
        return next(filter(None, (difference(a, b, f"{place}.{i}") for i, (a, b) in pairs)), "")
    if isinstance(expected, torch.Tensor):
        same = isinstance(got, torch.Tensor) and expected.dtype == got.dtype and torch.equal(expected, got)
    elif isinstance(expected, np.ndarray):
        same = np.array_equal(expected, got)
    else:
        same = expected == got or (expected != expected and got != got)
    return "" if same else f"{place}: {str(expected)[:60]} became {str(got)[:60]}"


def fits(stage: Stage, fault: str) -> bool:
    """Whether a fault means anything for a stage."""
    return stage.name != "proposals" or fault in ("kill -9", "SIGTERM", "moved folder")


def tries(args: argparse.Namespace, stages: Sequence[Stage]) -> Iterator[Try]:
    """All that are asked for."""
    for stage, fault in itertools.product(stages, args.fault or FAULTS):
        if fits(stage, fault):
            yield from (Try(stage, fault, number, args.seed) for number in range(args.tries))


def main(argv: Sequence[str] | None = None) -> int:
    """Break, compare and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [stage.name for stage in STAGES]
    parser.add_argument("--tries", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stage", action="append", choices=names)
    parser.add_argument("--fault", action="append", choices=FAULTS)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="folder of the work; default: a temporary one")
    args = parser.parse_args(argv)
    multiprocessing.get_context("forkserver").set_forkserver_preload(["__main__", *MODULES])  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory(prefix="aligndet-faults-") as temporary:
        return _run(args, args.keep or Path(temporary))


def _run(args: argparse.Namespace, root: Path) -> int:
    begin = time.monotonic()
    stages = [stage for stage in STAGES if not args.stage or stage.name in args.stage]
    data = root / "data"
    write_dataset(data, {"unlabelled": 24, "train": 16, "val": 8}, size=96, seed=args.seed)
    made = Folder(
        Stage("data", (*PROPOSALS, "DATA/proposals", "--min-side", "8"), str),
        root / "made",
        data,
    )
    if made.run():
        raise SystemExit(made.log())
    with ThreadPoolExecutor(args.jobs) as pool:
        expected = dict(
            zip(stages, pool.map(lambda stage: _unbroken(stage, root, data), stages), strict=True)
        )
        asked = list(tries(args, stages))
        found = list(pool.map(lambda one: _told(one, root, data, expected[one.stage]), asked))
    print(_table(asked, found, args))
    wrong = sum(map(bool, found))
    print(f"{len(asked) - wrong} of {len(asked)} exact, seed {args.seed}, {time.monotonic() - begin:.0f} s")
    return int(bool(wrong))


def _unbroken(stage: Stage, root: Path, data: Path) -> Any:
    folder = Folder(stage, root / f"{STAGES.index(stage)}-unbroken", data)
    if status := folder.run():
        raise SystemExit(f"{stage.name}: exit status {status} of the run that nobody breaks\n{folder.log()}")
    return stage.result(folder.work)


def _told(one: Try, root: Path, data: Path, expected: Any) -> str:
    place = root / f"{STAGES.index(one.stage)}-{FAULTS.index(one.fault)}-{one.number}"
    try:
        wrong = attempt(one, place, data, expected)
    except Exception as error:  # the table is for such things
        wrong = f"{type(error).__name__}: {error}"
    print(f"{one.stage.name}, {one.fault}, {one.number}: {wrong or 'exact'}", flush=True)
    if wrong:
        print("".join(f"    {line}\n" for line in (place / "printed.txt").read_text().splitlines()[-6:]))
    return wrong


def _table(asked: list[Try], found: list[str], args: argparse.Namespace) -> str:
    faults = args.fault or FAULTS
    lines = ["| stage | " + " | ".join(faults) + " |", "|---" * (len(faults) + 1) + "|"]
    for stage in dict.fromkeys(one.stage for one in asked):
        cells = []
        for fault in faults:
            wrong = [
                bool(text)
                for one, text in zip(asked, found, strict=True)
                if (one.stage, one.fault) == (stage, fault)
            ]
            cells.append(f"{len(wrong) - sum(wrong)} of {len(wrong)}" if wrong else "-")
        lines.append(f"| {stage.name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
