"""The user's own pre-training config takes a detector over whole, from whichever project it is."""

from pathlib import Path

import pytest
from mmengine.config import Config

from aligndet.common.config_text import config_text
from aligndet.pipeline.box_config import of_user
from tests.box_domain.project import project

BOX = "aligndet::box_domain/retinanet_r50_fpn_1x_coco.py"


@pytest.mark.parametrize("scope", ["mmdet", "mmengine"])
def test_preprocessor_and_scope_of_the_detector_s_config_come_with_it(scope: str, tmp_path: Path) -> None:
    """Kind: a preprocessor beside the model, and names that mean something in the detector's scope only."""
    content = project(default_scope=scope)
    beside = content["model"].pop("data_preprocessor")
    (tmp_path / "mine.py").write_text(config_text(Config({**content, "data_preprocessor": beside})))
    options = {"train_dataloader.batch_size": 3}
    config = of_user(BOX, str(tmp_path / "mine.py"), "boxes.json", "photos", options)
    detector = config.model.detector
    assert detector.data_preprocessor == beside
    assert detector.get("_scope_", "mmdet") == scope
    assert config.train_dataloader.batch_size == 3
    assert config.train_dataloader.dataset.ann_file == "boxes.json"
