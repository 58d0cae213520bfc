"""Damaged proposal stores, for ``benchmarks/fuzz.py``: none gives, in silence, other boxes than it held."""

from __future__ import annotations

import contextlib
import io
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from aligndet.common.errors import InputError
from aligndet.common.files import content_hash
from aligndet.proposals.layout import BLOCKS, META
from aligndet.proposals.mapping import UNREADABLE
from aligndet.proposals.options import ProposalOptions
from aligndet.proposals.runner import make_proposals
from aligndet.proposals.store import ProposalStore
from aligndet.proposals.store_meta import seal_of
from aligndet.proposals.store_writer import StoreWriter

VALUES: list[Any] = [
    *(None, "", "x", -1, 0, 1, 1.5, 1e308, float("nan"), float("inf"), 2**31, 2**63, 2**70, True),
    *(
        [],
        {},
        [[]],
        {"a": 1},
        "a" * 5000,
        "\x00",
        "\ud800",
        "../x.jpg",
        {"clusters": "x"},
        {"clusters": 2**70},
    ),
]
ARRAYS: list[Callable[[np.ndarray], np.ndarray]] = [
    lambda array: np.array([{"x": 1}] * len(array), object),
    lambda array: array.astype(">f8"),
    lambda array: np.asfortranarray(array.reshape(-1, 1)),
    lambda array: array[:-1],
    lambda array: np.concatenate([array, array]),
    lambda array: array[::-1],
    lambda array: np.zeros_like(array),
    lambda array: np.full_like(array, -1 if array.dtype.kind in "if" else 255),
    lambda array: np.zeros((0, *array.shape[1:]), array.dtype),
]


def store_case(rng: random.Random, place: Path) -> list[list[str]]:
    """A store with one to three faults, and what may be done with it."""
    _write_images(place / "images", rng)
    with contextlib.redirect_stderr(io.StringIO()):  # that an image is skipped
        make_proposals(place / "images", place / "store", ProposalOptions("grid"), progress=False)
    shutil.copytree(place / "store", place / "anew")
    kind = rng.random()
    if kind < 0.25:
        _cluster(place / "store", rng)
    elif kind < 0.35:
        _make_old(place / "store")
    shutil.copytree(place / "store", place / "sound")
    damages = _accidents() if rng.random() < 0.6 else _forgeries()
    for _ in range(rng.choice((1, 1, 2, 3))):
        rng.choice(damages)(rng, place / "store")
    if damages == _forgeries():
        (place / "forged").touch()
    store, images = str(place / "store"), str(place / "images")
    order = {"images": [{"id": 1, "file_name": "0.jpg", "width": 60, "height": 40}], "annotations": []}
    order |= {"categories": [{"id": 1, "name": "a"}]}
    (place / "labels.json").write_text(json.dumps(order))
    uses = [
        ["proposals", "convert", store, str(place / "out.json")],
        ["proposals", "convert", store, str(place / "out"), "--images", images, "--workers", "0"],
        ["proposals", "recall", store, str(place / "labels.json")],
        ["proposals", "make", images, store, "--backend", "grid", "--workers", "0", "--quiet"],
        ["proposals", "make", images, store, "--backend", "grid", "--workers", "0", "--quiet", "--overwrite"],
    ]
    use = rng.choice(uses)
    if "--overwrite" in use:  # then what was there does not matter
        shutil.rmtree(place / "sound")
        (place / "anew").rename(place / "sound")
    return [["proposals", "verify", store], use]


def other_boxes(place: Path) -> str:
    """A store of :func:`store_case` that opens and is not as it was, or no store can be; empty for none."""
    try:
        store = ProposalStore.open(place / "store")
    except InputError:
        return ""
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    if (place / "forged").exists():
        boxes, ends = store.columns["boxes"], (store.offsets, store.columns["name_offsets"])
        real = np.isfinite(boxes).all() and (boxes[:, 2:] >= boxes[:, :2]).all()
        rising = all((np.diff(end) >= 0).all() for end in ends)
        return "" if real and rising else "opened, with boxes that are none"
    sound = ProposalStore.open(place / "sound")
    same = store.columns.keys() == sound.columns.keys() and all(
        np.array_equal(store.columns[name], sound.columns[name], equal_nan=name == "scores")
        for name in sound.columns
    )
    return "" if same else "opened, and not as it was"


def _write_images(folder: Path, rng: random.Random) -> None:
    folder.mkdir()
    for number in range(rng.choice((1, 6, 6, 6))):
        noise = np.random.default_rng(number).integers(0, 256, (5, 6, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f"{number}.jpg"), cv2.resize(noise, (60, 40)))
    (folder / "bad.jpg").write_bytes(b"")


def _cluster(store: Path, rng: random.Random) -> None:
    """The same boxes with columns that not every store has."""
    made = ProposalStore.open(store)
    with StoreWriter(store, {**made.info, "clusters": {"clusters": 3}}) as writer:
        for image in range(len(made)):
            boxes = made.boxes(image)
            columns = {name: np.arange(len(boxes)) % 3 for name in ("scores", "levels", "clusters")}
            writer.append(made.file_name(image), image, made.size(image), boxes, rng.randrange(9), **columns)


def _make_old(store: Path) -> None:
    """A store without seal and sums of blocks, as earlier versions wrote."""
    meta = json.loads((store / META).read_text())
    del meta["seal"], meta["bytes"], meta["sha256"][BLOCKS]
    (store / META).write_text(json.dumps(meta))
    (store / BLOCKS).unlink()


def _files(store: Path) -> list[Path]:
    return sorted(store.iterdir())


def _flip(rng: random.Random, store: Path) -> None:
    file = rng.choice(_files(store))
    data = bytearray(file.read_bytes() if file.is_file() else b"")
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        file.write_bytes(data)


def _spoil(rng: random.Random, store: Path) -> None:
    """Bytes of a file are cut, put in, doubled, or random."""
    file = rng.choice(_files(store))
    data = bytearray(file.read_bytes() if file.is_file() else b"")
    place, length = rng.randrange(len(data) + 1), rng.choice((1, 4, 40, 4096))
    new = (
        b"",
        data[place : place + length] * 2,
        rng.randbytes(min(length, len(data) - place)),
        b"\0" * length,
    )
    data[place : place + length] = rng.choice(new)
    if rng.random() < 0.2:
        del data[place:]
    if file.is_file():
        file.write_bytes(data)


def _remove(rng: random.Random, store: Path) -> None:
    file = rng.choice(_files(store))
    if file.is_file() and file.name != META:  # without it nothing tells that there was a store
        file.unlink()
        if rng.random() < 0.5:
            rng.choice(
                (file.mkdir, lambda: file.symlink_to(file.name), lambda: file.symlink_to("/dev/null"))
            )()


def _swap(rng: random.Random, store: Path) -> None:
    one, two = rng.sample([file for file in _files(store) if file.is_file()], 2)
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)


def _other_column(rng: random.Random, store: Path) -> None:
    file = rng.choice([file for file in _files(store) if file.suffix == ".npy"])
    try:
        array = np.load(file)
        np.save(file, rng.choice(ARRAYS)(array), allow_pickle=True)
    except UNREADABLE:
        return  # damaged before


def _other_value(rng: random.Random, store: Path) -> None:
    meta = _meta(store)
    _change(rng, meta)
    (store / META).write_text(json.dumps(meta))


def _forge_value(rng: random.Random, store: Path) -> None:
    """Another value, and the seal of it."""
    meta = _meta(store)
    _change(rng, meta)
    if isinstance(meta, dict) and rng.random() < 0.9:
        meta["seal"] = seal_of(meta)
    (store / META).write_text(json.dumps(meta))


def _forge_column(rng: random.Random, store: Path) -> None:
    """Other bytes of a column, and the hash of them."""
    rng.choice((_other_column, _flip, _spoil, _some_rows))(rng, store)
    meta = _meta(store)
    if not isinstance(meta.get("sha256"), dict):
        return
    for name in meta["sha256"]:
        if (store / name).is_file():
            meta["sha256"][name] = content_hash(store / name)
            if isinstance(meta.get("bytes"), dict):
                meta["bytes"][name] = (store / name).stat().st_size
    meta["seal"] = seal_of(meta)
    (store / META).write_text(json.dumps(meta))


def _some_rows(rng: random.Random, store: Path) -> None:
    """Odd numbers in a column that is whole otherwise."""
    file = rng.choice([file for file in _files(store) if file.suffix == ".npy"])
    try:
        array = np.load(file)
    except UNREADABLE:
        return
    if array.size:
        odd: list[float] = [0, 1, 7] if array.dtype.kind == "u" else [-1, -2, 0, 7, 30_000]
        odd += [float("nan"), float("inf"), 1e38] if array.dtype.kind == "f" else []
        array.flat[rng.randrange(array.size)] = rng.choice(odd)
        np.save(file, array)


def _meta(store: Path) -> Any:
    """``store.json``, or something else where it is damaged."""
    try:
        return json.loads((store / META).read_text())
    except (OSError, ValueError):
        return {}


def _change(rng: random.Random, value: Any) -> None:
    """Change, take away or add one thing somewhere in a json object."""
    while isinstance(value, dict) and value:
        key, below = rng.choice(list(value.items()))
        if isinstance(below, dict) and below and rng.random() < 0.7:
            value = below
            continue
        chance = rng.random()
        if chance < 0.2:
            del value[key]
        elif chance < 0.3:
            value[rng.choice(("", "x", "boxes", "boxes.npy", "../x"))] = rng.choice(VALUES)
        elif type(below) is int and chance < 0.6:
            value[key] = below + rng.choice((-1, 1, 100))
        else:
            value[key] = rng.choice(VALUES)
        return


def _accidents() -> list[Callable[[random.Random, Path], None]]:
    return [_flip, _flip, _flip, _spoil, _spoil, _remove, _swap, _other_column, _other_value]


def _forgeries() -> list[Callable[[random.Random, Path], None]]:
    return [_forge_value, _forge_column]
