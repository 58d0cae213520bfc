"""Opening and reading proposals at the scale of COCO: the store against mmdet's CocoDataset on the same json.

    python benchmarks/proposal_store.py                        118,000 images x 100 boxes, generated
    python benchmarks/proposal_store.py --images 20000         smaller: the json readers need less memory
    python benchmarks/proposal_store.py --workers 8            the store alone, by eight processes at once

Every reader runs in a fresh process, and is the first to use the store, which is then read and compared
with its hashes. Measured: seconds to open (files are dropped from the page cache first, where the system
allows it), memory over what the imports take, milliseconds for one image in random order (its entry, and
its boxes as the tensors that mmdet trains on), and memory after that; then two forked workers read every
image at once and their memory is shared out (PSS: a page of two processes counts half in each).
With --workers, processes that have nothing in common open the store at the same moment: first one that nobody
used before (all its files are read and compared with their hashes, by one of them), then again; then all read
every image.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import aligndet  # noqa: F401
from aligndet.proposals.coco import write_coco
from aligndet.proposals.store import ProposalStore
from aligndet.proposals.store_writer import StoreWriter

READERS = {
    "store, numpy only": "store",
    "ProposalDataset, store": "store",
    "ProposalDataset, json": "json",
    "mmdet CocoDataset, json": "json",
}
SAMPLES = 10_000


def generate(folder: Path, images: int, boxes: int, as_json: bool) -> None:
    """A store and, if asked for, the equal COCO json, each only if it is not there."""
    rng = np.random.default_rng(0)
    if not (folder / "store").exists():
        with StoreWriter(folder / "store", {"description": "generated"}) as writer:
            for number in range(images):
                corner = rng.integers(0, 400, (boxes, 2))
                xyxy = np.concatenate([corner, corner + rng.integers(32, 200, (boxes, 2))], axis=1)
                scores = np.sort(rng.random(boxes))[::-1]
                writer.append(f"{number:012d}.jpg", number + 1, (640, 480), xyxy, scores=scores)
    if as_json and not (folder / "proposals.json").exists():
        write_coco(ProposalStore.open(folder / "store"), folder / "proposals.json")


def opened(reader: str, folder: Path) -> tuple[int, Callable[[int], Any], Callable[[int], Any]]:
    """Open it: number of images, what gives an image's entry, and what gives its boxes for training."""
    if reader == "store, numpy only":
        store = ProposalStore.open(folder / "store")
        return len(store), lambda i: (store.file_name(i), store.boxes(i)), lambda i: np.array(store.boxes(i))
    from mmdet.datasets import CocoDataset
    from mmdet.datasets.transforms import LoadAnnotations

    from aligndet.box_domain.data.dataset import ProposalDataset
    from aligndet.box_domain.data.loading import LoadProposals

    options: dict[str, Any] = {"data_prefix": {"img": "s3://nowhere"}, "pipeline": []}
    if reader.startswith("ProposalDataset"):
        ours = ProposalDataset(ann_file=str(folder / place(reader)), **options)
        load = LoadProposals()
        return len(ours), ours.get_data_info, lambda i: load(ours.get_data_info(i))["gt_bboxes"]
    classes = {"classes": ("proposal",)}
    theirs = CocoDataset(ann_file=str(folder / place(reader)), metainfo=classes, **options)
    annotations = LoadAnnotations(with_bbox=True)
    return len(theirs), theirs.get_data_info, lambda i: annotations(theirs.get_data_info(i))["gt_bboxes"]


def place(reader: str) -> str:
    """Name of the file or folder that a reader opens."""
    return "store" if READERS[reader] == "store" else "proposals.json"


def measure(reader: str, folder: Path) -> dict[str, float]:
    """Measure all numbers of one reader, in a fresh process."""
    if not reader.startswith("store"):
        import mmdet.datasets  # noqa: F401

        import aligndet.box_domain.data.dataset  # noqa: F401
    forget(folder / place(reader))
    before, start = resident(), time.perf_counter()
    images, entry, boxes = opened(reader, folder)
    numbers = {"imports_mb": before, "open_s": time.perf_counter() - start, "open_mb": resident() - before}
    numbers["peak_mb"] = peak() - before
    order = np.random.default_rng(1).permutation(images)[:SAMPLES].tolist()
    for name, read in (("entry_ms", entry), ("boxes_ms", boxes)):
        times = [timed(read, image) for image in order]
        numbers[name], numbers[f"{name}_p99"] = float(np.mean(times)), float(np.quantile(times, 0.99))
    numbers["read_mb"] = resident() - before
    numbers["worker_pss_mb"] = shared(boxes, images)
    return numbers


def timed(read: Callable[[int], Any], image: int) -> float:
    """Milliseconds of one call."""
    start = time.perf_counter()
    read(image)
    return 1000 * (time.perf_counter() - start)


def shared(boxes: Callable[[int], Any], images: int, workers: int = 2) -> float:
    """Memory in MB of one of several forked workers that have read every image."""
    context = multiprocessing.get_context("fork")
    results, barrier = context.Queue(), context.Barrier(workers)

    def work() -> None:
        for image in range(images):
            boxes(image)
        barrier.wait()
        results.put(rollup("Pss"))
        barrier.wait()

    processes = [context.Process(target=work) for _ in range(workers)]
    for process in processes:
        process.start()
    sizes = [results.get() for _ in processes]
    for process in processes:
        process.join()
    return max(sizes)


def rollup(field: str) -> float:
    """A field of /proc/self/smaps_rollup in MB."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 1024


def resident() -> float:
    """MB of this process in memory, mapped files included."""
    return rollup("Rss")


def peak() -> float:
    """Most MB this process ever had."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def forget(path: Path) -> None:
    """Ask the system to drop a file, or a folder's files, from its page cache."""
    for file in path.iterdir() if path.is_dir() else [path]:
        descriptor = os.open(file, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def open_together(folder: Path, workers: int, read: bool) -> list[dict[str, float]]:
    """What each of several fresh processes measures that open a store at the same moment."""
    command = [sys.executable, __file__, "--worker", "read" if read else "open", "--folder", str(folder)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    started = [subprocess.Popen(command, **pipes) for _ in range(workers)]

    def together(answer: bool) -> list[str]:
        """Wait for a line of each, then let all go on."""
        lines = [worker.stdout.readline() for worker in started if worker.stdout]
        for worker in started if answer else []:
            assert worker.stdin
            worker.stdin.write("\n")
            worker.stdin.flush()
        return lines

    together(answer=True)  # all have imported
    if read:
        together(answer=True)  # all have read
    measured = together(answer=True)
    for worker in started:
        worker.wait()
    return [json.loads(line) for line in measured]


def work(folder: Path, read: bool) -> None:
    """One of the processes of :func:`open_together`."""
    before = resident()

    def meet(text: str = "") -> None:
        print(text, flush=True)
        sys.stdin.readline()

    meet()
    start = time.perf_counter()
    store = ProposalStore.open(folder / "store")
    numbers = {"open_s": time.perf_counter() - start, "peak_mb": peak() - before}
    if read:
        for image in range(len(store)):
            store.boxes(image).sum()
        meet()
        private = rollup("Private_Clean") + rollup("Private_Dirty")
        numbers |= {"pss_mb": rollup("Pss"), "private_mb": private, "rss_mb": resident()}
    meet(json.dumps(numbers))


def report_workers(folder: Path, workers: int) -> str:
    """Lines on a first use, a later one, and reading."""
    lines = []
    with tempfile.TemporaryDirectory() as cache:
        os.environ["XDG_CACHE_HOME"] = cache
        forget(folder / "store")
        for text, read in (("first use", False), ("opened again", False), ("all images read by all", True)):
            rows = open_together(folder, workers, read)
            worst = {key: max(row[key] for row in rows) for key in rows[0]}
            told = ", ".join(f"{key} {value:.3g}" for key, value in worst.items())
            lines.append(f"{workers} workers, {text}: at most {told}")
            if read:
                lines[-1] += f"; pss of all together {sum(row['pss_mb'] for row in rows):.0f} MB"
    return "\n".join(lines)


HEAD = {
    "open_s": "open, s",
    "open_mb": "open, MB",
    "peak_mb": "peak, MB",
    "entry_ms": "entry, ms",
    "boxes_ms": "boxes, ms",
    "boxes_ms_p99": "boxes p99, ms",
    "read_mb": "after reading, MB",
    "imports_mb": "imports, MB",
    "worker_pss_mb": "each of 2 workers, MB",
}


def report(rows: Sequence[tuple[str, dict[str, float]]]) -> str:
    """A markdown table."""
    lines = ["| reader | " + " | ".join(HEAD.values()) + " |", "|---" * (len(HEAD) + 1) + "|"]
    for reader, numbers in rows:
        cells = (
            f"{numbers[key]:.3f}" if key.endswith(("ms", "p99", "_s")) else f"{numbers[key]:,.0f}"
            for key in HEAD
        )
        lines.append(f"| {reader} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=118_000)
    parser.add_argument("--boxes", type=int, default=100, help="per image")
    parser.add_argument("--folder", type=Path, help="keep the generated files there (default: removed)")
    parser.add_argument("--readers", nargs="+", choices=list(READERS), default=list(READERS))
    parser.add_argument("--generate-only", action="store_true")
    parser.add_argument(
        "--workers", type=int, default=0, help="measure the store alone, by so many processes"
    )
    parser.add_argument("--measure", choices=list(READERS), help=argparse.SUPPRESS)
    parser.add_argument("--worker", choices=("open", "read"), help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.worker:
        work(args.folder, args.worker == "read")
        return 0
    if args.measure:
        print("measured " + json.dumps(measure(args.measure, args.folder)))
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        start, kinds = time.perf_counter(), {READERS[reader] for reader in args.readers if not args.workers}
        generate(folder, args.images, args.boxes, as_json="json" in kinds)
        sizes = [
            sum(file.stat().st_size for file in folder.glob(name)) / 1e6 for name in ("store/*", "*.json")
        ]
        print(f"{args.images} images x {args.boxes} boxes: store {sizes[0]:,.0f} MB, json {sizes[1]:,.0f} MB")
        print(f"generated in {time.perf_counter() - start:.0f} s", flush=True)
        if args.generate_only:
            return 0
        if args.workers:
            print(report_workers(folder, args.workers))
            return 0
        rows = []
        for reader in args.readers:
            command = [sys.executable, __file__, "--measure", reader, "--folder", str(folder)]
            with tempfile.TemporaryDirectory() as cache:  # without it no reader finds the store checked
                environment = {**os.environ, "XDG_CACHE_HOME": cache}
                done = subprocess.run(command, capture_output=True, text=True, env=environment)
            answer = [line for line in done.stdout.splitlines() if line.startswith("measured ")]
            if not answer:
                print(f"{reader}: failed (exit code {done.returncode}): {done.stderr.strip()[-300:]}")
                continue
            rows.append((reader, json.loads(answer[0].removeprefix("measured "))))
            print(report(rows[-1:]).splitlines()[-1], flush=True)
    print("\n" + report(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
