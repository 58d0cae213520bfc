"""Nothing that lies in an image folder stops a run, and what is used has the size that training will see."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import aligndet  # noqa: F401  first: makes mmcv importable where it has no compiled ops
from aligndet.common.images import list_images, read_image
from aligndet.proposals.filters import FilterOptions
from aligndet.proposals.options import ProposalOptions
from aligndet.proposals.runner import make_proposals
from aligndet.proposals.store import ProposalStore

RNG = np.random.default_rng(0)
SCENE = cv2.resize(RNG.integers(0, 256, (12, 16, 3), dtype=np.uint8), (80, 60))  # 80 wide, 60 high
FILTER = FilterOptions(min_side=0)


def encoded(image: np.ndarray, suffix: str) -> bytes:
    return cv2.imencode(suffix, image)[1].tobytes()


def by_pillow(mode: str, suffix: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image = Image.fromarray(SCENE[..., ::-1].copy()).convert(mode)
    image.save(stream, suffix, **options)
    return stream.getvalue()


def turned(orientation: int, suffix: str = "jpeg") -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return by_pillow("RGB", suffix, exif=exif)


def scrambled(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes(255 - byte for byte in data[middle : middle + 40]) + data[middle + 40 :]


JPEG, PNG = encoded(SCENE, ".jpg"), encoded(SCENE, ".png")
USED: dict[str, tuple[bytes, tuple[int, int]]] = {  # name -> bytes, width and height as training loads it
    "plain.jpg": (JPEG, (80, 60)),
    "grey.jpg": (encoded(SCENE[..., 0], ".jpg"), (80, 60)),
    "grey.png": (encoded(SCENE[..., 0], ".png"), (80, 60)),
    "one_bit.png": (by_pillow("1", "png"), (80, 60)),
    "palette.png": (by_pillow("P", "png"), (80, 60)),
    "alpha.png": (encoded(np.dstack([SCENE, SCENE[..., :1]]), ".png"), (80, 60)),
    "sixteen.png": (encoded(SCENE.astype(np.uint16) * 257, ".png"), (80, 60)),
    "sixteen.tiff": (encoded(SCENE.astype(np.uint16) * 257, ".tiff"), (80, 60)),
    "cmyk.jpg": (by_pillow("CMYK", "jpeg"), (80, 60)),
    "cmyk.tif": (by_pillow("CMYK", "tiff"), (80, 60)),
    "progressive.JPEG": (by_pillow("RGB", "jpeg", progressive=True), (80, 60)),
    "is_a_png.jpg": (PNG, (80, 60)),
    "webp.webp": (by_pillow("RGB", "webp"), (80, 60)),
    "one_pixel.png": (encoded(SCENE[:1, :1], ".png"), (1, 1)),
    "one_row.png": (encoded(SCENE[:1], ".png"), (80, 1)),
    "twenty_megapixels.jpg": (encoded(cv2.resize(SCENE, (5200, 3900)), ".jpg"), (5200, 3900)),
    **{f"exif_{n}.jpg": (turned(n), (80, 60) if n < 5 else (60, 80)) for n in range(1, 9)},
    "exif_6.png": (turned(6, "png"), (60, 80)),
    "exif_nonsense.jpg": (turned(77), (80, 60)),
}
SKIPPED: dict[str, tuple[bytes, str]] = {  # name -> bytes, reason
    "zero_bytes.jpg": (b"", "file is empty"),
    "text.jpg": (b"no image at all", "cannot decode"),
    "html.png": (b"<html><body>404 Not Found</body></html>", "cannot decode"),
    "truncated.jpg": (JPEG[: len(JPEG) // 2], "cannot decode"),
    "truncated_at_the_end.jpg": (JPEG[:-30], "cannot decode"),
    "truncated.png": (PNG[: len(PNG) // 2], "cannot decode"),
    "truncated.tiff": (encoded(SCENE, ".tiff")[:3000], "cannot decode"),
    "truncated.bmp": (encoded(SCENE, ".bmp")[:3000], "cannot decode"),
    "corrupt_header.jpg": (b"\xff\xd8\xff" + bytes(500), "cannot decode"),
    "corrupt.png": (scrambled(PNG), "cannot decode"),
    "zeros.jpg": (bytes(4000), "cannot decode"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad") / "images"
    (folder / "deep" / "er").mkdir(parents=True)
    for name, (data, _) in {**USED, **SKIPPED}.items():
        (folder / name).write_bytes(data)
    (folder / "corrupt_middle.jpg").write_bytes(scrambled(JPEG))
    (folder / "notes.txt").write_text("not listed at all")
    (folder / "deep" / "plain.jpg").write_bytes(JPEG)  # the same name in three folders
    (folder / "deep" / "er" / "plain.jpg").write_bytes(JPEG)
    (folder / "folder.jpg").mkdir()
    (folder / "nowhere.jpg").symlink_to(folder / "gone.jpg")
    (folder / "circle").symlink_to(folder)
    os.mkfifo(folder / "pipe.jpg")
    (folder / os.fsdecode(b"not_utf8_\xff.jpg")).write_bytes(JPEG)
    return folder


@pytest.fixture(scope="module")
def store(folder: Path) -> ProposalStore:
    options = ProposalOptions("grid", filter=FILTER)
    report = make_proposals(folder, folder.parent / "out", options, workers=2, progress=False)
    assert f"{report.skips} images skipped" in str(report)
    return ProposalStore.open(folder.parent / "out")


@pytest.mark.parametrize("name", USED)
def test_usable_images_are_used_as_training_loads_them(folder: Path, store: ProposalStore, name: str) -> None:
    mmcv = pytest.importorskip("mmcv")
    image = store.find(name)
    assert store.size(image) == USED[name][1]
    loaded = mmcv.imfrombytes((folder / name).read_bytes())
    assert loaded.shape == (store.size(image)[1], store.size(image)[0], 3)
    np.testing.assert_array_equal(read_image(folder / name), loaded)
    boxes = store.boxes(image)
    assert len(boxes)
    assert (boxes[:, 2:] <= store.size(image)).all()


def test_mmdet_s_loader_sees_what_was_searched(folder: Path, store: ProposalStore) -> None:
    transforms = pytest.importorskip("mmcv.transforms")
    for name in ("exif_6.jpg", "exif_3.jpg", "cmyk.jpg", "sixteen.png"):
        results = transforms.LoadImageFromFile()({"img_path": str(folder / name)})
        assert results["img_shape"] == store.size(store.find(name))[::-1]
        np.testing.assert_array_equal(results["img"], read_image(folder / name))


@pytest.mark.parametrize("name", SKIPPED)
def test_unusable_images_are_skipped_with_the_reason(store: ProposalStore, name: str) -> None:
    reasons = {row["file_name"]: row["reason"] for row in store.skipped()}
    assert SKIPPED[name][1] in reasons[name]
    with pytest.raises(KeyError):
        store.find(name)


def test_everything_is_used_or_skipped_once(folder: Path, store: ProposalStore) -> None:
    names = [store.file_name(image) for image in range(len(store))]
    skipped = [row["file_name"] for row in store.skipped()]
    others = {"deep/plain.jpg", "deep/er/plain.jpg", os.fsdecode(b"not_utf8_\xff.jpg")}
    assert {*names, *skipped} == {*USED, *SKIPPED, *others, "nowhere.jpg", "corrupt_middle.jpg"}
    assert len({*names, *skipped}) == len(names) + len(skipped)
    assert "nowhere.jpg" in skipped


def test_a_scrambled_jpeg_is_used_if_and_only_if_training_can_load_it(
    folder: Path, store: ProposalStore
) -> None:
    mmcv = pytest.importorskip("mmcv")
    loaded = mmcv.imfrombytes((folder / "corrupt_middle.jpg").read_bytes())
    names = [store.file_name(image) for image in range(len(store))]
    assert ("corrupt_middle.jpg" in names) == (loaded is not None)


def test_the_default_backend_survives_every_small_image(folder: Path, tmp_path: Path) -> None:
    small = {name: {"id": n, "file_name": name} for n, name in enumerate(USED) if "mega" not in name}
    (tmp_path / "set.json").write_text(json.dumps({"images": list(small.values())}))
    report = make_proposals(tmp_path / "set.json", tmp_path / "out", image_root=folder, progress=False)
    failed = {row["file_name"] for row in report.skipped}
    assert failed <= {"one_pixel.png", "one_row.png"}


def test_names_that_a_json_has_twice_are_searched_once(folder: Path, tmp_path: Path) -> None:
    rows = [{"id": 7, "file_name": "plain.jpg"}, {"id": 8, "file_name": "grey.jpg"}]
    rows += [{"id": 9, "file_name": "plain.jpg"}]
    (tmp_path / "set.json").write_text(json.dumps({"images": rows}))
    options = ProposalOptions("grid", filter=FILTER)
    make_proposals(tmp_path / "set.json", tmp_path / "out", options, image_root=folder, progress=False)
    store = ProposalStore.open(tmp_path / "out")
    assert store.image_ids.tolist() == [7, 8]
    assert list(store.skipped()) == [
        {"file_name": "plain.jpg", "reason": "image 9 has the same name as image 7"}
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_noted(tmp_path: Path) -> None:
    closed_folder(tmp_path, lambda path: path.chmod(0))


def test_a_folder_that_cannot_be_read_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    def refuse(path: Path) -> None:
        def listed(place: str) -> object:
            if os.fspath(place) == os.fspath(path):
                raise PermissionError(13, "Permission denied")
            return scandir(place)

        monkeypatch.setattr(os, "scandir", listed)

    closed_folder(tmp_path, refuse)


def closed_folder(tmp_path: Path, close: Callable[[Path], None]) -> None:
    (tmp_path / "a" / "closed").mkdir(parents=True)
    (tmp_path / "a" / "z.jpg").write_bytes(JPEG)
    close(tmp_path / "a" / "closed")
    table, _ = list_images(tmp_path)
    assert [entry.file_name for entry in table] == ["a/z.jpg"]
    assert table.skipped == [{"file_name": "a/closed/", "reason": "folder cannot be read: Permission denied"}]


def test_listing_opens_no_image_and_keeps_few_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(600):
        folder = tmp_path / f"{number % 7}" / f"{number % 5}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.jpg").write_bytes(b"x")
    monkeypatch.setattr(np, "fromfile", None)
    monkeypatch.setattr("builtins.open", None)
    table, _ = list_images(tmp_path)
    names = [entry.file_name for entry in table]
    assert len(names) == 600
    assert names == sorted(names)
    assert sum(map(len, names)) + 600 * 40 > sum(
        memoryview(part).nbytes
        for part in (table._names, table._ends, table._hashes, table.ids, table._sizes)
    )
