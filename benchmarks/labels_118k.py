"""Reading labels at the scale of COCO: seconds, memory, and that nothing is lost.

    python benchmarks/labels_118k.py                    118,000 images, 860,000 boxes with outlines, generated
    python benchmarks/labels_118k.py --images 10000     smaller
    python benchmarks/labels_118k.py --unsound          every entry has a flaw of one meaning

Measured in a process of its own: seconds by the clock and of the processor from the call to the labels, and
the memory at its highest over what the imports take. ``labels split`` writes a tenth of them, in one pass.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PER_IMAGE = 7.29  # boxes, as in COCO's training images
CLASSES = 80


def entry(rng: random.Random, number: int, image: int, unsound: bool) -> dict[str, Any]:
    """An annotation with an outline of fifteen points."""
    x, y, w, h = rng.uniform(0, 400), rng.uniform(0, 300), rng.uniform(5, 200), rng.uniform(5, 150)
    outline = [round(rng.uniform(0, 400), 2) for _ in range(30)]
    box: dict[str, Any] = {
        "segmentation": [outline],
        "area": 0 if unsound else round(w * h * 0.6, 4),
        "iscrowd": "0" if unsound else 0,
        "image_id": str(image) if unsound else image,
        "bbox": [round(side, 2) for side in (x, y, w, h)],
        "category_id": rng.randint(1, CLASSES),
        "id": number,
    }
    return box


def generate(path: Path, images: int, unsound: bool) -> int:
    """Write the file, entry by entry; its number of boxes."""
    rng = random.Random(0)
    boxes = round(images * PER_IMAGE)
    with path.open("w") as out:
        out.write('{"info": {}, "images": [')
        for number in range(1, images + 1):
            image = {
                "id": number,
                "file_name": f"{number:012d}.jpg",
                "width": 640,
                "height": 480,
                "license": 3,
            }
            out.write(("" if number == 1 else ", ") + json.dumps(image))
        out.write('], "annotations": [')
        for number in range(1, boxes + 1):
            box = entry(rng, number, rng.randint(1, images), unsound)
            out.write(("" if number == 1 else ", ") + json.dumps(box))
        names = [{"id": number, "name": f"class {number}"} for number in range(1, CLASSES + 1)]
        out.write(f'], "categories": {json.dumps(names)}}}')
    return boxes


def memory() -> float:
    """The highest of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def measure(path: Path, out: Path | None) -> dict[str, float]:
    """Read the labels, or also write a tenth of them."""
    from aligndet.common.labels.reader import inspect_labels
    from aligndet.labels.split import split_labels

    before, clock, processor = memory(), time.perf_counter(), time.process_time()
    if out is None:
        boxes = inspect_labels(path).report.boxes
    else:
        boxes = split_labels(path, out, [10], [1])[0].num_boxes
    seconds, cpu = time.perf_counter() - clock, time.process_time() - processor
    return {"boxes": boxes, "seconds": seconds, "cpu": cpu, "peak MB": memory() - before}


def main(argv: Sequence[str] | None = None) -> int:
    """Generate, and measure each in a process of its own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=118_000)
    parser.add_argument("--unsound", action="store_true")
    parser.add_argument("--file", type=Path, help="read this file instead")
    parser.add_argument("--measure", nargs="+", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.measure:
        print(json.dumps(measure(args.measure[0], args.measure[1] if args.measure[1:] else None)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        path = args.file or Path(folder) / "labels.json"
        boxes = None if args.file else generate(path, args.images, args.unsound)
        print(f"{path}: {path.stat().st_size / 1e6:.0f} MB")
        for name, out in (("read", []), ("split, a tenth", [str(Path(folder) / "out")])):
            words = [sys.executable, __file__, "--measure", str(path), *out]
            result = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
            if boxes is not None and not out and result["boxes"] != boxes:
                raise SystemExit(f"{result['boxes']} of {boxes} boxes were read")
            print(f"{name:16}" + "".join(f"{key} {value:,.1f}  " for key, value in result.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
