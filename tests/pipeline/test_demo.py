"""The demo: a preset of the pipeline, on generated images or on small copies of the user's."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from aligndet.common.errors import InputError
from aligndet.pipeline import plan
from aligndet.pipeline.checks import check_question, check_stages
from aligndet.pipeline.demo import demo_question
from aligndet.pipeline.stages import images
from tests.pipeline.asked import write_images


def names(**given: object) -> list[str]:
    return [stage.name for stage in plan.stages(demo_question(**given))]  # type: ignore[arg-type]


def test_generated_images_are_compared_and_a_user_s_without_labels_are_not(tmp_path: Path) -> None:
    write_images(tmp_path / "photos", 2)
    made = ["images", "proposals", "image_domain", "backbone", "box_domain", "export", "evidence"]
    assert names(out=str(tmp_path / "a")) == [*made, "compare"]
    assert names(images=str(tmp_path / "photos"), out=str(tmp_path / "b")) == made


def test_its_configs_are_built_and_as_long_as_said(tmp_path: Path) -> None:
    question = demo_question(out=str(tmp_path / "out"))
    check_question(question)
    lengths = check_stages(question).lengths
    assert lengths["image_domain"] == "150 iterations of 32 images"
    assert lengths["box_domain"] == "200 iterations of 8 images"
    stage = plan.stages(question)[-1]
    assert (stage.request.iters, stage.request.batch, stage.request.schedule) == (150, 4, "cosine")
    assert stage.request.lr == (0.001, 0.0005)


def test_images_are_generated_with_labels(tmp_path: Path) -> None:
    result = images.run(images.ImagesRequest(str(tmp_path), {"train": 2, "unlabelled": 3}))
    assert result.counts == {"train": 2, "unlabelled": 3}
    assert len(list((tmp_path / "images" / "unlabelled").glob("*.jpg"))) == 3
    assert (tmp_path / "annotations" / "train.json").is_file()


def test_a_user_s_images_are_copied_small_and_bad_ones_named(tmp_path: Path) -> None:
    write_images(tmp_path / "photos", 20, size=400)
    (tmp_path / "photos" / "bad.png").write_text("no picture")
    result = images.run(images.ImagesRequest(str(tmp_path / "out"), {}, str(tmp_path / "photos"), most=21))
    assert result.counts == {"unlabelled": 20}
    assert len(result.left_out) == 1
    assert result.left_out[0].startswith("bad.png: ")
    copies = sorted((tmp_path / "out" / "images" / "unlabelled").iterdir())
    assert len(copies) == 20
    assert copies[0].name == "0.png.jpg"
    picture = cv2.imread(str(copies[0]))
    assert picture is not None
    assert picture.shape == (320, 320, 3)


def test_few_images_are_refused(tmp_path: Path) -> None:
    write_images(tmp_path / "photos", 3)
    with pytest.raises(InputError, match="3 images; expected at least 16"):
        images.run(images.ImagesRequest(str(tmp_path / "out"), {}, str(tmp_path / "photos"), most=21))
