"""Proposals of like texture get the same pseudo-class; jobs survive bad images and kills."""

import aligndet  # noqa: F401, I001  first: makes mmcv importable where it has no compiled ops

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import torchvision
from pycocotools.coco import COCO
from torch import nn

from aligndet.box_domain.pseudo_classes.box_features import BoxFeatures
from aligndet.box_domain.pseudo_classes.clusters import (
    ClusterJob,
    ClusterOptions,
    learn_codebook,
    write_clusters,
)
from aligndet.common.images.bad import TooManyBadError
from aligndet.proposals.convert import convert
from aligndet.proposals.formats import read_proposals
from aligndet.common.sealed import write_sealed
from aligndet.proposals.store import ProposalStore
from aligndet.proposals.store_writer import StoreWriter
from tests.command import command

main = command("proposals cluster")

KINDS = 3
RESNET = "model = dict(backbone=dict(type='ResNet', depth=18))\n"
OPTIONS = ClusterOptions(clusters=KINDS, dims=16)


def texture(kind: int, size: int) -> np.ndarray:
    """Stripes across, stripes down, or a red area."""
    rows, columns = np.mgrid[:size, :size]
    waves = [127 + 127 * np.sin(rows), 127 + 127 * np.sin(columns), np.zeros((size, size))]
    grey = np.repeat(waves[kind][..., None], 3, axis=2)
    if kind == 2:
        grey[..., 2] = 255
    return grey.astype(np.uint8)


@pytest.fixture
def planted(tmp_path: Path) -> tuple[Path, list[int]]:
    """Eight images of three textured squares each, as a proposal file, and the kind of each proposal."""
    rng = np.random.default_rng(0)
    content: dict[str, Any] = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "proposal"}]}
    content["info"] = {"backend": "planted"}
    kinds = []
    for number in range(8):
        image = np.full((96, 288 + number, 3), 127, np.uint8)
        for slot, kind in enumerate(rng.permutation(KINDS)):
            x, y = 96 * slot + int(rng.integers(0, 30)), int(rng.integers(0, 30))
            image[y : y + 64, x : x + 64] = texture(kind, 64)
            row = len(content["annotations"])
            content["annotations"].append(
                {
                    "id": 900 - row,
                    "image_id": number,
                    "bbox": [x, y, 64, 64],
                    "area": 4096,
                    "iscrowd": 0,
                    "category_id": 1,
                }
            )
            kinds.append(int(kind))
        name = f"{number}.png"
        cv2.imwrite(str(tmp_path / name), image)
        content["images"].append({"id": number, "file_name": name, "width": 288 + number, "height": 96})
    (tmp_path / "proposals.json").write_text(json.dumps(content))
    return tmp_path, kinds


def make_extract(**options: Any) -> BoxFeatures:
    torch.manual_seed(0)
    backbone = nn.Sequential(
        nn.Conv2d(3, 32, 7, stride=4, padding=3), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1)
    )
    return BoxFeatures(backbone, [127.0] * 3, [64.0] * 3, True, scale=(320, 96), **options)


def job(
    folder: Path, options: ClusterOptions = OPTIONS, extract: Any = None, max_bad: float = 100
) -> ClusterJob:
    proposals = read_proposals(folder / "proposals.json")
    return ClusterJob(proposals, folder, extract or make_extract(), options, max_bad)


def same_partition(first: Sequence[int], second: Sequence[int]) -> bool:
    pairs = set(zip(first, second, strict=True))
    return len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


def test_textures_are_told_apart_and_ids_repeat(planted: tuple[Path, list[int]]) -> None:
    folder, kinds = planted
    ids = job(folder).run()
    assert same_partition(ids.tolist(), kinds)
    assert np.array_equal(ids, job(folder).run())


@pytest.mark.parametrize("fit_proposals", [9, 12])
def test_centres_from_a_part_serve_the_rest(planted: tuple[Path, list[int]], fit_proposals: int) -> None:
    folder, kinds = planted
    ids = job(folder, ClusterOptions(KINDS, 16, fit_proposals=fit_proposals)).run()
    assert same_partition(ids.tolist(), kinds)


def test_features_look_at_the_box_and_nothing_else() -> None:
    extract = make_extract()
    image = np.full((96, 288, 3), 127, np.uint8)
    image[16:80, 16:80] = texture(0, 64)
    other = image.copy()
    other[:, 150:] = texture(2, 288)[:96, :138]
    box = np.array([[24.0, 24.0, 48.0, 48.0]])
    first, second = (extract([pixels], [box])[0] for pixels in (image, other))
    assert first.shape == (1, 32)
    assert np.linalg.norm(first) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(first, second, atol=1e-6)
    assert np.abs(first - extract([image], [np.add(box, [150, 0, 0, 0])])[0]).max() > 0.05


def test_boxes_follow_the_resized_image() -> None:
    """The same scene at half size gives about the same feature: boxes are scaled with the image."""
    extract = make_extract()
    small = np.full((48, 160, 3), 127, np.uint8)
    small[8:40, 100:140] = (0, 0, 255)
    large = cv2.resize(small, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    box = np.array([[104.0, 12.0, 32.0, 24.0]])
    first, second = extract([small], [box])[0], extract([large], [2 * box])[0]
    assert (first * second).sum() > 0.999
    assert (first * extract([small], [box * [[0.1, 1, 1, 1]]])[0]).sum() < 0.99


def test_features_are_read_where_the_box_is_to_less_than_a_hundredth() -> None:
    """On a ramp from left to right, the mean over a box tells its centre."""
    width = 1024
    ramp = np.tile(np.linspace(0, 255, width), (64, 1)).astype(np.uint8)
    image = np.stack([ramp, np.full_like(ramp, 128), np.zeros_like(ramp)], -1)
    extract = BoxFeatures(nn.AvgPool2d(8), [0.0] * 3, [1.0] * 3, False, scale=(width, 64))
    for x in (200.0, 500.0, 880.0):
        vector = extract([image], [np.array([[x, 8.0, 64.0, 48.0]])])[0][0]
        assert vector[0] / vector[1] * 128 / 255 * width == pytest.approx(x + 32, abs=6)


def test_channel_order_is_the_config_s() -> None:
    image = np.zeros((32, 32, 3), np.uint8)
    image[..., 2] = 255  # red in BGR
    features = BoxFeatures(nn.Identity(), [0.0] * 3, [255.0] * 3, True, scale=(32, 32))
    box = np.array([[8.0, 8.0, 16.0, 16.0]])
    np.testing.assert_allclose(features([image], [box])[0], [[1, 0, 0]], atol=1e-6)


def test_a_batch_gives_the_features_of_single_images(planted: tuple[Path, list[int]]) -> None:
    folder, kinds = planted
    ids = job(folder, ClusterOptions(KINDS, 16, batch=3)).run()
    assert same_partition(ids.tolist(), kinds)


def test_level_out_of_range_is_named() -> None:
    with pytest.raises(ValueError, match="the backbone has 1 outputs"):
        make_extract(level=3)([np.zeros((32, 32, 3), np.uint8)], [np.array([[0.0, 0.0, 9.0, 9.0]])])


def test_more_clusters_than_proposals_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"256 clusters cannot be made from 20 proposals: pass --clusters"):
        learn_codebook(np.ones((20, 4), np.float32), 256, 4, 0)


def test_dims_are_capped_by_what_the_features_span() -> None:
    features = np.random.default_rng(0).normal(size=(30, 8)).astype(np.float32)
    assert learn_codebook(features, 3, 256, 0).components.shape == (8, 8)


def test_codebook_takes_the_nearest_centre() -> None:
    features = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
    codebook = learn_codebook(features, 5, 4, 0)
    reduced = (features - codebook.mean) @ codebook.components.T
    distances = np.linalg.norm(reduced[:, None] - codebook.centres[None], axis=2)
    assert np.array_equal(codebook.assign(features), distances.argmin(1))


@pytest.mark.parametrize("name", ["out.json", "out"])
def test_unreadable_images_are_left_out_and_order_is_kept(planted: tuple[Path, list[int]], name: str) -> None:
    folder, kinds = planted
    (folder / "3.png").write_bytes(b"no image")
    work = job(folder)
    write_clusters(work.proposals, work.run(), {"clusters": KINDS}, folder / name)
    written = read_proposals(folder / name)
    assert written.image_ids.tolist() == [0, 1, 2, 4, 5, 6, 7]
    assert same_partition(written.columns["clusters"].tolist(), kinds[:9] + kinds[12:])
    for image, before in enumerate([0, 1, 2, 4, 5, 6, 7]):
        np.testing.assert_array_equal(written.boxes(image), work.proposals.boxes(before))
    assert [row["file_name"] for row in written.skipped()] == ["3.png"]
    assert (written.num_clusters, written.info["backend"]) == (KINDS, "planted")
    assert {path.name for path in folder.iterdir()} <= {f"{n}.png" for n in range(8)} | {
        name,
        "proposals.json",
    }


def test_too_many_bad_images_end_it_saved_and_mended_ones_are_taken(
    planted: tuple[Path, list[int]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = planted
    options = ClusterOptions(KINDS, 16, fit_proposals=9)
    whole, state = job(folder, options).run(), folder / "state.npz"
    last = np.random.default_rng(0).permutation(8)[-3:]  # the codebook is learnt from the first
    kept = {number: (folder / f"{number}.png").read_bytes() for number in last}
    for number in kept:
        (folder / f"{number}.png").write_bytes(b"")
    with pytest.raises(
        TooManyBadError, match=r"3 of 8 images are bad, more than 25 %, such as \d.png \(file"
    ):
        job(folder, options, max_bad=25).run(state)
    assert ".png: file is empty; it is skipped (1 of 8 so far, at most 2)" in capsys.readouterr().err
    for number, data in kept.items():
        (folder / f"{number}.png").write_bytes(data)
    assert state.is_file()
    assert np.array_equal(job(folder, options, max_bad=0).run(state), whole)


def test_images_without_boxes_and_other_columns_stay(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "in", {"seed": 3}) as writer:
        writer.append("a", 5, (9, 9), np.zeros((0, 4)))
        boxes = np.array([[0, 0, 5, 5], [1, 1, 4, 4]])
        writer.append("b", 7, (9, 9), boxes, scores=np.array([2, 1]), levels=np.array([4, 5]))
    write_clusters(ProposalStore.open(tmp_path / "in"), np.array([1, 0]), {"clusters": 2}, tmp_path / "out")
    out = ProposalStore.open(tmp_path / "out")
    assert out.counts.tolist() == [0, 2]
    columns = {name: out.columns[name].tolist() for name in ("scores", "levels", "clusters")}
    assert columns == {"scores": [2, 1], "levels": [4, 5], "clusters": [1, 0]}
    assert out.info == {"seed": 3, "clusters": {"clusters": 2}}


def test_a_killed_job_continues(planted: tuple[Path, list[int]]) -> None:
    folder, _ = planted
    options = ClusterOptions(KINDS, 16, fit_proposals=9, save_every=1)
    whole = job(folder, options).run()
    extract, state = make_extract(), folder / "state.npz"
    calls: list[int] = []

    def dies_late(*batch: Any) -> list[np.ndarray]:
        calls.append(1)
        if len(calls) == 7:
            raise KeyboardInterrupt
        return extract(*batch)

    def counts(*batch: Any) -> list[np.ndarray]:
        calls.append(1)
        return extract(*batch)

    with pytest.raises(KeyboardInterrupt):
        job(folder, options, dies_late).run(state, "same")
    calls.clear()
    assert np.array_equal(job(folder, options, counts).run(state, "same"), whole)
    assert 0 < len(calls) < 4
    assert not state.exists()


def test_the_state_of_another_job_is_not_taken_up(planted: tuple[Path, list[int]]) -> None:
    folder, kinds = planted
    state = folder / "state.npz"
    write_sealed(state, {"fingerprint": "other", "ids": np.zeros(24, np.int32)})
    assert same_partition(job(folder).run(state, "same").tolist(), kinds)


def test_a_damaged_state_is_not_taken_up(planted: tuple[Path, list[int]]) -> None:
    folder, kinds = planted
    state = folder / "state.npz"
    write_sealed(state, {"fingerprint": "same", "ids": np.zeros(24, np.int32)})
    state.write_bytes(state.read_bytes()[:-9])
    assert same_partition(job(folder).run(state, "same").tolist(), kinds)


def test_tool_takes_stores_and_writes_a_json_that_pycocotools_reads(
    planted: tuple[Path, list[int]], capsys: pytest.CaptureFixture
) -> None:
    folder, kinds = planted
    (folder / "config.py").write_text(RESNET)
    torch.manual_seed(0)
    torch.save(torchvision.models.resnet18().state_dict(), folder / "r18.pth")
    argv = [
        str(folder / "proposals.json"),
        str(folder / "out.json"),
        "--images",
        str(folder),
        "--device",
        "cpu",
    ]
    argv += ["--config", str(folder / "config.py"), "--clusters", "3", "--dims", "8", "--scale", "300", "96"]
    argv += ["--level", "0"]

    assert main(argv) == 2
    assert "--weights" in capsys.readouterr().err
    assert main([*argv, "--weights", str(folder / "r18.pth")]) == 0
    assert "24 proposals in 3 clusters of 8 to 8" in capsys.readouterr().out
    coco = COCO(str(folder / "out.json"))
    assert [c["name"] for c in coco.loadCats(coco.getCatIds())] == ["cluster_0", "cluster_1", "cluster_2"]
    written = json.loads((folder / "out.json").read_text())
    before = json.loads((folder / "proposals.json").read_text())
    assert [a["bbox"] for a in written["annotations"]] == [a["bbox"] for a in before["annotations"]]
    assert same_partition([a["category_id"] for a in written["annotations"]], kinds)
    assert written["info"]["backend"] == "planted"
    assert written["info"]["clusters"]["level"] == 0
    convert([folder / "proposals.json"], folder / "store")
    argv = [
        str(folder / "store"),
        str(folder / "clustered"),
        *argv[2:],
        "--weights",
        str(folder / "r18.pth"),
    ]
    assert main(argv) == 0
    clustered = ProposalStore.open(folder / "clustered")
    assert clustered.columns["clusters"].tolist() == [a["category_id"] - 1 for a in written["annotations"]]
