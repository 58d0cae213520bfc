"""Seeded fuzzing of what people give: labels, proposals, images, checkpoints and configs, all damaged.

    python benchmarks/fuzz.py [--labels 1500] [--images 1000] [--stores 500] [--checkpoints 500]
        [--configs 500] [--seed 0] [--only KIND] [--keep DIR]

Every damaged file goes through commands, in this process. A command must end by itself, with status 0 or 2,
without a traceback, and with one line where it ends with 2. What does not is printed with the seed that makes
it again.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import gzip
import io
import json
import pickle
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

KINDS = ("labels", "images", "stores", "checkpoints", "configs")
SECONDS = 30  # that a command may take
ODD: list[Any] = [
    *(
        None,
        "",
        "x",
        "7",
        " 7 ",
        "7.0",
        -1,
        0,
        1.5,
        1e308,
        -1e308,
        float("nan"),
        float("inf"),
        2**31,
        2**63,
        2**70,
    ),
    *(
        [],
        {},
        [[]],
        [1, 2],
        [0, 0, 1, 1],
        [0.1, 0.1, 0.2, 0.2],
        ["1", "2", "3", "4"],
        [None] * 4,
        {"a": 1},
        True,
    ),
    *(
        "a" * 5000,
        "\x00",
        "\ud800",
        "../x.jpg",
        "/etc/passwd",
        "a\\b.jpg",
        "ü.jpg",
        "a\nb.jpg",
        "file://x",
        [1e309] * 4,
    ),
    *([-5, -5, 10, 10], [0, 0, 1e9, 1e9], [10, 10, -5, -5], {"counts": "x", "size": [1, 1]}),
]


class HangError(Exception):
    """A command took too long."""


def too_long(number: int, frame: object) -> None:
    """Interrupt a command, as the handler of SIGALRM."""
    raise HangError


def run(words: list[str]) -> tuple[int, str]:
    """Run a command here; its status and what it wrote to stderr."""
    from aligndet.cli.main import main

    out, err = io.StringIO(), io.StringIO()
    signal.alarm(SECONDS)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(words)
    finally:
        signal.alarm(0)
    return status, err.getvalue()


def fault_of(words: list[str]) -> str:
    """What is wrong with how a command ends; empty where it ends well."""
    try:
        status, said = run(words)
    except HangError:
        return f"no end after {SECONDS} s"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    lines = [line for line in said.splitlines() if line.startswith("aligndet")]
    if "Traceback" in said:
        return f"traceback: {said.splitlines()[-1]}"
    if status not in (0, 2):
        return f"status {status}: {said.strip()[-300:]}"
    if status == 2 and (len(lines) != 1 or len(lines[0]) > 1500):
        return f"status 2 with {len(lines)} lines of {sum(map(len, lines))} characters: {said.strip()[:300]}"
    return ""


def scene(rng: random.Random, width: int = 60, height: int = 40) -> np.ndarray:
    noise = np.random.default_rng(rng.randrange(1 << 30)).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return cv2.resize(noise, (width, height))


def write_images(folder: Path, rng: random.Random, count: int = 5) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{number}.jpg" for number in range(count)]
    for name in names:
        cv2.imwrite(str(folder / name), scene(rng))
    return names


def coco(rng: random.Random, names: list[str]) -> dict[str, Any]:
    images = [
        {"id": n, "file_name": name, "width": 60, "height": 40} for n, name in enumerate(names, start=1)
    ]
    boxes = [
        {
            "id": n,
            "image_id": rng.randint(1, len(names)),
            "category_id": rng.choice((1, 3)),
            "bbox": [rng.randint(0, 30), rng.randint(0, 20), rng.randint(2, 30), rng.randint(2, 20)],
            "area": 10,
            "iscrowd": rng.choice((0, 0, 0, 1)),
        }
        for n in range(1, 13)
    ]
    return {
        "info": {},
        "images": images,
        "annotations": boxes,
        "categories": [{"id": 1, "name": "a"}, {"id": 3, "name": "b"}],
    }


def changed_value(rng: random.Random, value: Any) -> Any:
    """A json value with one thing in it changed, added or taken away."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(list(value))
        kind = rng.random()
        if kind < 0.15:
            return {k: v for k, v in value.items() if k != key}
        if kind < 0.2:
            return {**value, rng.choice(["", "id", "bbox", "x", key.upper()]): rng.choice(ODD)}
        return {**value, key: changed_value(rng, value[key])}
    if isinstance(value, list) and value and rng.random() < 0.9:
        place, kind = rng.randrange(len(value)), rng.random()
        if kind < 0.08:
            return value[:place] + value[place + 1 :]
        if kind < 0.16:
            return [*value, value[place]]
        if kind < 0.2:
            return [*value, rng.choice(ODD)]
        return [*value[:place], changed_value(rng, value[place]), *value[place + 1 :]]
    return rng.choice(ODD)


def changed_bytes(rng: random.Random, data: bytes) -> bytes:
    """Bytes with a few of them flipped, cut, doubled or put in."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        if not changed:
            break
        place, length = rng.randrange(len(changed)), rng.choice((1, 1, 4, 40))
        kind = rng.randrange(5)
        if kind == 0:
            changed[place] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del changed[place : place + length]
        elif kind == 2:
            changed[place:place] = changed[place : place + length]
        elif kind == 3:
            changed[place : place + length] = rng.randbytes(length)
        elif rng.random() < 0.3:
            del changed[place:]
    return bytes(changed)


def dumped(rng: random.Random, value: Any) -> bytes:
    """A json value as a file: of any encoding, whole or damaged."""
    text = json.dumps(value, ensure_ascii=rng.random() < 0.8, indent=rng.choice((None, None, 1)))
    kind = rng.random()
    encoding = rng.choice(("utf-8-sig", "utf-16", "latin-1")) if kind < 0.08 else "utf-8"
    data = text.encode(encoding, "surrogatepass" if encoding.startswith("utf") else "replace")
    if 0.08 < kind < 0.12:
        data = gzip.compress(data)
    if 0.12 < kind < 0.14:
        data = b"[" * 100_000
    if 0.14 < kind < 0.16:
        data = data.replace(b",", b",,", 1)
    return changed_bytes(rng, data) if kind > 0.7 else data


def coco_case(rng: random.Random, place: Path) -> list[list[str]]:
    value: Any = coco(rng, write_images(place / "images", rng))
    for _ in range(rng.choice((1, 1, 2, 5))):
        value = changed_value(rng, value)
    (place / "x.json").write_bytes(dumped(rng, value))
    labels, images = str(place / "x.json"), str(place / "images")
    return [
        ["labels", "check", labels, *rng.choice(([], ["--images", images]))],
        rng.choice(
            (
                ["labels", "convert", labels, str(place / "out.json")],
                ["labels", "split", labels, str(place / "out"), "--percent", "50"],
                ["proposals", "convert", labels, str(place / "store"), "--workers", "0"],
                ["proposals", "convert", labels, str(place / "s"), "--images", images, "--workers", "0"],
                ["proposals", "recall", labels, labels],
                ["proposals", "make", labels, str(place / "store"), "--images", images, *GRID],
            )
        ),
    ]


GRID = ["--backend", "grid", "--workers", "0", "--quiet", "--max-bad", "100"]


def yolo_case(rng: random.Random, place: Path) -> list[list[str]]:
    names = write_images(place / "images", rng)
    (place / "labels").mkdir()
    for name in names:
        lines = [f"{rng.randrange(2)} 0.5 0.5 {rng.random():.3f} 0.4" for _ in range(3)]
        text = "\n".join(lines).encode()
        (place / "labels" / f"{name[0]}.txt").write_bytes(changed_bytes(rng, text))
    yaml = b"path: .\ntrain: images\nval: images\nnc: 2\nnames: [a, b]\n"
    (place / "data.yaml").write_bytes(changed_bytes(rng, yaml) if rng.random() < 0.5 else yaml)
    return [
        ["labels", "check", str(place / "data.yaml")],
        ["labels", "check", str(place / "labels"), "--images", str(place / "images")],
    ]


def voc_case(rng: random.Random, place: Path) -> list[list[str]]:
    names = write_images(place / "JPEGImages", rng)
    (place / "Annotations").mkdir()
    for name in names:
        text = (
            f"<annotation><filename>{name}</filename><size><width>60</width><height>40</height><depth>3</depth></size>"
            "<object><name>a</name><difficult>0</difficult><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>20</xmax>"
            "<ymax>30</ymax></bndbox></object></annotation>"
        )
        (place / "Annotations" / f"{name[0]}.xml").write_bytes(changed_bytes(rng, text.encode()))
    return [
        ["labels", "check", str(place)],
        ["labels", "convert", str(place / "Annotations"), str(place / "out.json")],
    ]


def proposal_case(rng: random.Random, place: Path) -> list[list[str]]:
    """Proposal files of other projects."""
    names = write_images(place / "images", rng)
    labels = coco(rng, names)
    (place / "order.json").write_text(json.dumps(labels))
    boxes = [np.array([[1.0, 2, 30, 20, 0.5]] * rng.randrange(4)).reshape(-1, 5) for _ in names]
    kinds: dict[str, Any] = {
        "p.pkl": dict(zip(names, boxes, strict=True)),
        "list.pkl": boxes,
        "d2.pkl": {
            "boxes": [part[:, :4] for part in boxes],
            "objectness_logits": [part[:, 4] for part in boxes],
            "ids": [1, 2, 3, 4, 5],
        },
        "results.json": [
            {"image_id": 1 + n % 5, "bbox": [1, 2, 20, 10], "score": 0.5, "category_id": 1} for n in range(9)
        ],
        "soco.json": {name[0]: [[1, 2, 20, 10], [5, 5, 4, 4]] for name in names},
        "sam.json": {
            "image": {"file_name": names[0], "width": 60, "height": 40},
            "annotations": [{"bbox": [1, 2, 20, 10], "predicted_iou": 0.5}],
        },
    }
    name = rng.choice(list(kinds))
    if name.endswith(".pkl"):
        value = kinds[name]
        data = pickle.dumps(
            changed_value(rng, value) if rng.random() < 0.5 else value, protocol=rng.choice((2, 4, 5))
        )
        (place / name).write_bytes(changed_bytes(rng, data) if rng.random() < 0.6 else data)
    else:
        (place / name).write_bytes(dumped(rng, changed_value(rng, kinds[name])))
    words = ["--order", str(place / "order.json"), "--workers", "0"]
    images = ["--images", str(place / "images")] if rng.random() < 0.5 else []
    return [["proposals", "convert", str(place / name), str(place / "store"), *images, *words]]


def list_case(rng: random.Random, place: Path) -> list[list[str]]:
    """List files of images."""
    names = write_images(place / "images", rng)
    text = "\n".join(f"images/{name}" for name in names).encode()
    (place / "list.txt").write_bytes(changed_bytes(rng, text))
    return [["proposals", "make", str(place / "list.txt"), str(place / "store"), *GRID]]


LABELS: tuple[tuple[Callable[[random.Random, Path], list[list[str]]], int], ...] = (
    (coco_case, 60),
    (yolo_case, 10),
    (voc_case, 10),
    (proposal_case, 15),
    (list_case, 5),
)


def image_kinds(rng: random.Random) -> dict[str, bytes]:
    """Small sound images of many kinds, by name."""
    pixels = scene(rng)
    shown = Image.fromarray(pixels[..., ::-1].copy())
    exif = Image.Exif()
    exif[0x0112] = rng.randrange(1, 9)

    def saved(kind: str, mode: str = "RGB", **options: Any) -> bytes:
        stream = io.BytesIO()
        shown.convert(mode).save(stream, kind, **options)
        return stream.getvalue()

    return {
        "a.jpg": saved("jpeg"),
        "exif.jpg": saved("jpeg", exif=exif),
        "progressive.JPEG": saved("jpeg", progressive=True),
        "cmyk.jpg": saved("jpeg", "CMYK"),
        "a.png": saved("png"),
        "palette.png": saved("png", "P"),
        "bits.png": saved("png", "1"),
        "alpha.png": saved("png", "RGBA"),
        "sixteen.png": cv2.imencode(".png", pixels.astype(np.uint16) * 16)[1].tobytes(),
        "a.bmp": saved("bmp"),
        "a.webp": saved("webp"),
        "a.tif": saved("tiff", compression="tiff_lzw"),
        "pages.tiff": saved("tiff", save_all=True, append_images=[shown]),
        "a.gif": saved("gif"),
        "a.ppm": saved("ppm"),
        "called_otherwise.jpg": saved("png"),
        "none": saved("jpeg"),
        "a.heic": saved("jpeg"),
    }


def image_case(rng: random.Random, place: Path) -> list[list[str]]:
    """A folder of 20 damaged images."""
    (place / "images").mkdir()
    for number in range(20):
        name, data = rng.choice(list(image_kinds(rng).items()))
        head = rng.random() < 0.5  # sizes and depths stand in the first bytes
        data = changed_bytes(rng, data[:64]) + data[64:] if head else changed_bytes(rng, data)
        (place / "images" / f"{number}_{name}").write_bytes(data)
    return [["proposals", "make", str(place / "images"), str(place / "store"), *GRID]]


def sizes_disagree(place: Path) -> str:
    """An image whose size by its header is not that of its pixels; empty for none."""
    from aligndet.common.images import UnreadableImageError, image_size, list_images, read_image

    table, root = list_images(place / "images")
    for entry in table:
        try:
            size, pixels = image_size(root / entry.file_name), read_image(root / entry.file_name)
        except UnreadableImageError:
            continue
        if size != pixels.shape[1::-1]:
            return f"{entry.file_name} is {size} by its header, {pixels.shape[1::-1]} decoded"
    return ""


def cases(kind: str, count: int) -> Iterator[tuple[Callable[[random.Random, Path], list[list[str]]], int]]:
    """Makers of cases, each with how many files it stands for."""
    if kind == "images":
        yield from ((image_case, 20) for _ in range(count // 20))
        return
    if kind == "stores":
        from fuzz_stores import store_case

        yield from ((store_case, 1) for _ in range(count))
        return
    if kind in ("checkpoints", "configs"):
        from fuzz_weights import checkpoint_case, config_case

        yield from ((checkpoint_case if kind == "checkpoints" else config_case, 1) for _ in range(count))
        return
    makers = [maker for maker, share in LABELS for _ in range(share)]
    yield from ((makers[number * 37 % len(makers)], 1) for number in range(count))


def fuzz(kind: str, count: int, seed: int, keep: Path | None) -> int:
    """Run all cases of one kind; the number of faults."""
    faults, ends, began = 0, collections.Counter[int](), time.monotonic()
    files = 0
    for number, (make, stands_for) in enumerate(cases(kind, count)):
        rng = random.Random(f"{seed} {kind} {number}")
        place = Path(tempfile.mkdtemp(prefix="fuzz-"))
        files += stands_for
        found = [(words, fault) for words in make(rng, place) if (fault := fault_of(words))]
        if kind == "images" and (fault := sizes_disagree(place)):
            found.append((["image_size"], fault))
        if kind == "stores" and (fault := _other_boxes(place)):
            found.append((["ProposalStore.open"], fault))
        for words, fault in found:
            print(f"{kind} {number} (seed {seed}), {' '.join(words)}: {fault}", flush=True)
        if found and keep:
            shutil.copytree(place, keep / f"{kind}-{number}", dirs_exist_ok=True)
        shutil.rmtree(place)
        faults += len(found)
        ends[bool(found)] += 1
    print(f"{kind}: {files} damaged files, {faults} faults, {time.monotonic() - began:.0f} s", flush=True)
    return faults


def _other_boxes(place: Path) -> str:
    from fuzz_stores import other_boxes

    return other_boxes(place)


def main() -> int:
    """Fuzz; the exit status says whether there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--labels", type=int, default=1500, help="damaged label and proposal files")
    parser.add_argument("--images", type=int, default=1000, help="damaged images")
    parser.add_argument("--stores", type=int, default=500, help="damaged proposal stores")
    parser.add_argument("--checkpoints", type=int, default=500, help="damaged checkpoints")
    parser.add_argument("--configs", type=int, default=500, help="damaged configs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=KINDS)
    parser.add_argument("--keep", type=Path, help="folder for the files of faults")
    args = parser.parse_args()
    signal.signal(signal.SIGALRM, too_long)
    counts = {kind: getattr(args, kind) for kind in KINDS}
    faults = [
        fuzz(kind, count, args.seed, args.keep) for kind, count in counts.items() if args.only in (None, kind)
    ]
    return int(any(faults))


if __name__ == "__main__":
    sys.exit(main())
