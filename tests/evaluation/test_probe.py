"""The probe: crops of the right boxes, features as the backbone sees them, voting, and the tool."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from aligndet.common.errors import InputError
from aligndet.evaluation import probe
from aligndet.image_domain.normalisation import Normalisation
from tests.command import command
from tests.small_coco import make_coco

main = command("show features")

BACKBONE = """
backbone = dict(type='mmdet.ResNet', depth=18, base_channels=8, out_indices=(3,))
model = dict(data_preprocessor=dict(mean=[0.0] * 3, std=[255.0] * 3, bgr_to_rgb=True), backbone=backbone)
"""


class Means(nn.Module):
    """A backbone whose features are the mean colours of its input."""

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return (x * 0, x)


def test_crops_are_the_boxes(tmp_path: Path) -> None:
    """Class 5 is drawn red, class 6 green over it; a crop of a whole green box is green."""
    crops = probe.read_crops(make_coco(tmp_path, 5), tmp_path / "images", side=16, min_side=8)
    assert crops.pixels.shape == (10, 3, 16, 16)
    assert crops.names == {5: "red", 6: "green"}
    assert sorted(crops.labels.tolist()) == [5] * 5 + [6] * 5
    for pixels, label in zip(crops.pixels, crops.labels, strict=True):
        if label == 6:
            assert pixels[1].min() == 255
            assert pixels[2].max() == 0


def test_small_boxes_crowds_and_bad_images_are_left_out(tmp_path: Path) -> None:
    path = make_coco(tmp_path, 4)
    data = json.loads(path.read_text())
    data["annotations"][0]["iscrowd"] = 1
    data["annotations"][1]["bbox"][2] = 7
    path.write_text(json.dumps(data))
    (tmp_path / "images" / data["images"][3]["file_name"]).write_bytes(b"no image")
    assert len(probe.read_crops(path, tmp_path / "images", 16, min_side=8).labels) == 8 - 2 - 2
    assert len(probe.read_crops(path, tmp_path / "images", 16, min_side=8, limit=3).labels) <= 3
    with pytest.raises(InputError, match="no box of at least 100 px"):
        probe.read_crops(path, tmp_path / "images", 16, min_side=100)


def test_features_are_normalised_and_in_channel_order() -> None:
    crops = torch.tensor([10.0, 20.0, 30.0]).view(1, 3, 1, 1).expand(5, 3, 4, 4).byte()  # B, G, R
    plain = Normalisation((0.0,) * 3, (1.0,) * 3, "bgr")
    assert probe.features(Means(), crops, plain, batch_size=2).tolist() == [[10, 20, 30]] * 5
    scaled = Normalisation((30.0, 20.0, 0.0), (1.0, 1.0, 10.0), "rgb")
    assert probe.features(Means(), crops, scaled).tolist() == [[0, 0, 1]] * 5


def test_neighbours_vote_with_their_similarity() -> None:
    train = np.array([[1.0, 0], [0.8, 0.6], [0.8, 0.6], [0, 1]], np.float32)
    labels = np.array([7, 3, 3, 7])
    asked = np.array([[1.0, 0.0]], np.float32)
    assert probe.nearest_neighbours(train, labels, asked, k=1).tolist() == [7]
    # exp(1 / .07) outweighs twice exp(.8 / .07); with a flat temperature the two win.
    assert probe.nearest_neighbours(train, labels, asked, k=3).tolist() == [7]
    assert probe.nearest_neighbours(train, labels, asked, k=3, temperature=10).tolist() == [3]


def test_linear_separates_what_can_be_separated() -> None:
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(2, 60, 4)).astype(np.float32)
    labels = [(part[:, 2] > 0).astype(int) * 4 for part in (train, test)]
    assert np.mean(probe.linear(train, labels[0], test, strength=10.0) == labels[1]) > 0.9


def test_scores_over_boxes_and_over_classes() -> None:
    result = probe.score(np.array([1, 1, 1, 1]), np.array([1, 1, 1, 2]))
    assert (result.top1, result.balanced) == (0.75, 0.5)


def test_classes_need_boxes_in_both_sets() -> None:
    train, test = np.array([1] * 5 + [2] * 5 + [3] * 5), np.array([1] * 5 + [2] * 2 + [3] * 9)
    assert probe.common_classes(train, test, 5).tolist() == [1, 3]
    with pytest.raises(InputError, match="only 1 classes"):
        probe.common_classes(train[:5], test, 5)


def test_the_tool_compares_weights_on_the_same_crops(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """A random backbone and a trained file; both get numbers, and red against green is easy for colours."""
    train, test = make_coco(tmp_path, 14, seed=0), make_coco(tmp_path, 12, seed=1)
    (tmp_path / "backbone.py").write_text(BACKBONE)
    from aligndet.image_domain.backbones import build_backbone
    from aligndet.training.run import load_config

    weights = tmp_path / "weights.pth"
    torch.save(build_backbone(load_config(str(tmp_path / "backbone.py"))).state_dict(), weights)
    out = tmp_path / "numbers.json"
    argv = [str(tmp_path / "backbone.py"), "--train", str(train), "--val", str(test), "--images"]
    argv += [str(tmp_path / "images"), "--weights", str(weights), "--random", "--json", str(out)]
    assert main([*argv, "--side", "32", "--min-side", "8", "-k", "5"]) == 0
    numbers = json.loads(out.read_text())
    assert set(numbers) == {"random", str(weights)}
    for scores in numbers.values():
        assert scores["largest class"] == {"top1": 0.5, "balanced": 0.5}
        assert scores["linear"]["top1"] > 0.8
    assert "5 neighbours" in capsys.readouterr().out
    assert main([*argv, "--min-side", "8", "--least", "1000"]) == 2
    assert "--least" in capsys.readouterr().err


def test_pixels_are_read_like_mmdet_reads_them(tmp_path: Path) -> None:
    """BGR, as training sees them."""
    folder = tmp_path / "images"
    folder.mkdir()
    pixels = np.zeros((40, 40, 3), np.uint8)
    pixels[..., 0] = 200  # blue
    cv2.imwrite(str(folder / "a.png"), pixels)
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 40, 40]}
    content = {"images": [{"id": 1, "file_name": "a.png"}], "annotations": [box], "categories": []}
    content["categories"] = [{"id": 1, "name": "blue"}]
    (tmp_path / "a.json").write_text(json.dumps(content))
    crops = probe.read_crops(tmp_path / "a.json", folder, side=4)
    assert crops.pixels[0, :, 0, 0].tolist() == [200, 0, 0]
