"""The proposal data set: a store and a json give the same samples, and what a user can get wrong is named."""

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mmdet.datasets import CocoDataset
from mmdet.datasets.transforms import LoadAnnotations
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from torch.utils.data import DataLoader

from aligndet.box_domain import LoadProposals, ProposalDataset, ProposalInstances
from aligndet.common.errors import InputError
from aligndet.common.images import content_stamp
from aligndet.proposals.formats import read_proposals
from aligndet.proposals.store_writer import StoreWriter


def write(tmp_path: Path, boxes: list[list[float]], names: tuple[str, ...] = ("proposal",)) -> Path:
    """Two images of 64 px; ``boxes`` on the first, one per category in turn."""
    (tmp_path / "images").mkdir(exist_ok=True)
    for number in range(2):
        cv2.imwrite(str(tmp_path / "images" / f"{number}.jpg"), np.zeros((64, 64, 3), np.uint8))
    content: dict[str, Any] = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 64, "height": 64} for i in range(2)],
        "categories": [{"id": i + 1, "name": name} for i, name in enumerate(names)],
        "annotations": [
            {
                "id": i + 1,
                "image_id": 0,
                "bbox": box,
                "area": box[2] * box[3],
                "iscrowd": 0,
                "category_id": i % len(names) + 1,
            }
            for i, box in enumerate(boxes)
        ],
    }
    path = tmp_path / "proposals.json"
    path.write_text(json.dumps(content))
    return path


def as_store(path: Path) -> Path:
    out = path.with_suffix(".store")
    source = read_proposals(path)
    with StoreWriter(out, source.info) as writer:
        writer.extend(source)
    return out


def load(path: Path, images: Path, **options: Any) -> ProposalDataset:
    init_default_scope("mmdet")
    return ProposalDataset(ann_file=str(path), data_prefix={"img": str(images)}, pipeline=[], **options)


def many(tmp_path: Path) -> Path:
    """Ten images with 0 to 9 boxes, ids out of order, boxes in the file's own order, one box of no size."""
    rng = np.random.default_rng(0)
    path = write(tmp_path, [])
    content = json.loads(path.read_text())
    content["images"] = [
        {"id": 50 - i, "file_name": f"{i}.jpg", "width": 64, "height": 60 + i} for i in range(10)
    ]
    for i in range(10):
        cv2.imwrite(str(tmp_path / "images" / f"{i}.jpg"), np.zeros((60 + i, 64, 3), np.uint8))
    content["categories"] = [{"id": 4, "name": "cluster_0"}, {"id": 3, "name": "cluster_1"}]
    rows = [(50 - i, n) for i in range(10) for n in range(i)]
    content["annotations"] = [
        {
            "id": n,
            "image_id": rows[n][0],
            "bbox": [*rng.uniform(0, 20, 2).round(2), *rng.uniform(2, 30, 2).round(2)],
            "area": 9,
            "iscrowd": 0,
            "category_id": 3 + n % 2,
        }
        for n in rng.permutation(len(rows)).tolist()
    ]
    content["annotations"][7]["bbox"][2] = 0.5
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("kind", ["json", "store"])
def test_samples_equal_those_of_mmdet_s_coco_dataset(tmp_path: Path, kind: str) -> None:
    path = many(tmp_path)
    ours = load(path if kind == "json" else as_store(path), tmp_path / "images")
    names = ("cluster_0", "cluster_1")
    mmdets = CocoDataset(
        ann_file=str(path),
        data_prefix={"img": str(tmp_path / "images")},
        metainfo={"classes": names},
        filter_cfg={"filter_empty_gt": True},
        pipeline=[],
    )
    assert len(ours) == len(mmdets) == 9
    assert ours.metainfo["classes"] == names
    for index in range(len(ours)):
        mine, other = ours.get_data_info(index), mmdets.get_data_info(index)
        instances, theirs = mine.pop("instances"), other.pop("instances")
        assert mine == other
        assert [i["bbox_label"] for i in instances] == [i["bbox_label"] for i in theirs]
        np.testing.assert_allclose([i["bbox"] for i in instances], [i["bbox"] for i in theirs], atol=1e-5)
        assert ours.get_cat_ids(index) == mmdets.get_cat_ids(index)


@pytest.mark.parametrize("kind", ["json", "store"])
def test_loading_gives_what_mmdet_s_transform_gives(tmp_path: Path, kind: str) -> None:
    path = many(tmp_path)
    data = load(path if kind == "json" else as_store(path), tmp_path / "images")
    ours = LoadProposals()(data.get_data_info(-1))
    theirs = LoadAnnotations(with_bbox=True)(data.get_data_info(-1))
    for key in ("gt_bboxes", "gt_bboxes_labels", "gt_ignore_flags"):
        mine, other = ours[key], theirs[key]
        if key == "gt_bboxes":
            assert type(mine) is type(other)
            mine, other = mine.tensor.numpy(), other.tensor.numpy()
        assert mine.dtype == other.dtype
        np.testing.assert_array_equal(mine, other)
    ours["gt_bboxes"].tensor[0, 0] = -7  # a copy: the file is not touched
    assert data.get_data_info(-1)["instances"].boxes[0, 0] != -7
    with pytest.raises(InputError, match="LoadAnnotations"):
        LoadProposals()({"instances": []})


def test_a_sample_holds_a_view_of_the_file_and_copies_cost_nothing(tmp_path: Path) -> None:
    data = load(as_store(many(tmp_path)), tmp_path / "images")
    instances = data.get_data_info(3)["instances"]
    assert np.shares_memory(instances.boxes, data.proposals.columns["boxes"])
    assert copy.deepcopy(instances) is instances
    assert isinstance(instances, ProposalInstances)
    assert instances[1:3] == [instances[1], instances[2]] == list(instances)[1:3]
    assert len(pickle.dumps(data)) < 5000 + 8 * len(data)  # a worker that is spawned gets the path
    assert pickle.loads(pickle.dumps(data)).get_data_info(3)["img_path"] == data.get_data_info(3)["img_path"]


def test_data_loader_workers_read_the_same_samples(tmp_path: Path) -> None:
    data = load(as_store(many(tmp_path)), tmp_path / "images")
    data.pipeline.transforms.append(LoadProposals())
    loader: DataLoader = DataLoader(data, 2, num_workers=2, collate_fn=list)
    samples = [sample for batch in loader for sample in batch]
    assert [sample["img_id"] for sample in samples] == [data.get_data_info(i)["img_id"] for i in range(9)]
    for index, sample in enumerate(samples):
        expected = data.get_data_info(index)["instances"].boxes
        np.testing.assert_array_equal(sample["gt_bboxes"].numpy(), expected)


def test_filter_and_subsets(tmp_path: Path) -> None:
    path = as_store(many(tmp_path))
    data = load(path, tmp_path / "images")
    assert len(load(path, tmp_path / "images", filter_cfg={"filter_empty_gt": False})) == 10
    assert len(load(path, tmp_path / "images", test_mode=True)) == 10
    assert len(load(path, tmp_path / "images", filter_cfg={"min_size": 62})) == 8
    assert len(load(path, tmp_path / "images", indices=4)) == 4
    ids = [data.get_data_info(i)["img_id"] for i in range(len(data))]
    cases: list[tuple[Any, list[int]]] = [(3, ids[:3]), (-2, ids[-2:]), ([5, 0], [ids[5], ids[0]])]
    for indices, expected in cases:
        part = data.get_subset(indices)
        assert [part.get_data_info(i)["img_id"] for i in range(len(part))] == expected
        assert part.proposals is data.proposals
    assert len(data) == 9
    data.get_subset_(3)
    assert len(data) == 3


def test_a_file_without_image_sizes_names_the_conversion(tmp_path: Path) -> None:
    path = write(tmp_path, [[4, 5, 20, 30]])
    content = json.loads(path.read_text())
    del content["images"][0]["width"]
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"aligndet proposals convert .* --images"):
        load(path, tmp_path / "images")


def test_reads_boxes_and_leaves_out_images_without_any(tmp_path: Path) -> None:
    data = load(write(tmp_path, [[4, 5, 20, 30], [10, 10, 8, 8]]), tmp_path / "images")
    assert len(data) == 1
    boxes = [instance["bbox"] for instance in data.get_data_info(0)["instances"]]
    assert boxes == [[4, 5, 24, 35], [10, 10, 18, 18]]


def test_clusters_become_labels(tmp_path: Path) -> None:
    names = ("cluster_0", "cluster_1", "cluster_2")
    data = load(write(tmp_path, [[0, 0, 20, 20]] * 3, names), tmp_path / "images")
    assert [i["bbox_label"] for i in data.get_data_info(0)["instances"]] == [0, 1, 2]
    assert data.metainfo["classes"] == names


def test_a_missing_file_names_the_tool_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.json.*aligndet proposals make"):
        load(tmp_path / "nowhere.json", tmp_path)


def test_proposals_of_other_images_are_named(tmp_path: Path) -> None:
    path = write(tmp_path, [[0, 0, 20, 20]])
    with pytest.raises(InputError, match=r"do not belong to the images in .*elsewhere"):
        load(path, tmp_path / "elsewhere")


def sized(tmp_path: Path, sizes: list[tuple[int, int]]) -> Path:
    """A store of six images of 64 x 48 px, some then overwritten by others (width, height), or removed."""
    folder = tmp_path / "images"
    folder.mkdir()
    with StoreWriter(tmp_path / "store") as writer:
        for number in range(6):
            path = folder / f"{number}.png"
            cv2.imwrite(str(path), np.full((48, 64, 3), number, np.uint8))
            boxes = np.array([[4, 5, 24, 35]])
            writer.append(path.name, number + 1, (64, 48), boxes, content_stamp(path))
    for number, (width, height) in enumerate(sizes):
        if width:
            cv2.imwrite(str(folder / f"{number}.png"), np.full((height, width, 3), 9, np.uint8))
        else:
            (folder / f"{number}.png").unlink()
    return tmp_path / "store"


LOAD = [{"type": "LoadImageFromFile"}, {"type": "aligndet.LoadProposals"}]


def test_images_that_are_gone_or_of_another_size_are_replaced_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither ends the training, and no box is put on an image that it does not belong to."""
    said: list[str] = []
    monkeypatch.setattr("aligndet.box_domain.data.dataset.warn", said.append)
    data = load(sized(tmp_path, [(0, 0), (32, 24)]), tmp_path / "images")
    assert said == [
        f"1 of 6 images looked at are not there; others take their places, e.g. {tmp_path}/images/0.png",
        "1 of 6 images looked at have another size than their proposals; others take their places, e.g. "
        f"{tmp_path}/images/1.png is 32x24 px, its proposals are for 64x48",
    ]
    monkeypatch.setattr("aligndet.common.images.replaced.warn", said.append)
    data.pipeline = Compose(LOAD)
    assert [data.prepare_data(image) is None for image in (0, 1, 2, 0)] == [True, True, False, True]
    assert [text.split("images/")[1][:5] for text in said[2:]] == ["0.png", "1.png"]
    assert said[3].endswith("another image takes its place (2 so far)")
    shapes = {data[image % 6]["img_shape"] for image in range(12)}
    assert shapes == {(48, 64)}


def test_images_resized_after_the_proposals_are_refused(tmp_path: Path) -> None:
    store = sized(tmp_path, [(32, 24)] * 4)
    message = r"4 of 6 images .*0\.png is 32x24 px, its proposals are for 64x48\. .*convert .*--images"
    with pytest.raises(InputError, match=message):
        load(store, tmp_path / "images")


def test_other_pictures_of_the_same_size_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that were renamed into each other's places are noticed by their hashes."""
    said: list[str] = []
    monkeypatch.setattr("aligndet.box_domain.data.dataset.warn", said.append)
    assert len(load(sized(tmp_path, [(64, 48)] * 2), tmp_path / "images")) == 6
    assert [text.split(";")[0] for text in said] == [
        "2 of 6 images looked at changed since their proposals were made"
    ]


def test_a_fault_of_the_pipeline_is_not_taken_for_a_broken_image(tmp_path: Path) -> None:
    data = load(sized(tmp_path, []), tmp_path / "images")
    data.pipeline = Compose([*LOAD, {"type": "Resize", "scale": "nonsense"}])
    with pytest.raises(Exception, match="dsize"):
        data.prepare_data(0)


def test_zero_proposals_everywhere_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no proposals.*--min-side"):
        load(write(tmp_path, []), tmp_path / "images")


def test_a_damaged_store_is_not_trained_on(tmp_path: Path) -> None:
    store = as_store(write(tmp_path, [[1, 2, 30, 40]]))
    data = bytearray((store / "boxes.npy").read_bytes())
    data[-1] ^= 0x40  # an exponent
    (store / "boxes.npy").write_bytes(data)
    with pytest.raises(InputError, match=r"damaged: boxes\.npy \(changed since it was written\)"):
        load(store, tmp_path)
