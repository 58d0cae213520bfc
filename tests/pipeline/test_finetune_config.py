"""``finetune.py``: short, readable anywhere, with the user's labels put in."""

from __future__ import annotations

from pathlib import Path

import pytest
from mmengine.config import Config

from aligndet.common.errors import InputError
from aligndet.pipeline.finetune_config import finetune_config, write_finetune
from tests.pipeline.asked import DETECTOR
from tests.small_coco import make_coco

CASCADE = "mmdet::cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py"


def written(detector: str, folder: Path, labels: tuple = ((), ()), **options: object) -> Config:
    config = finetune_config(detector, folder / "detector.pth", labels, dict(options))
    write_finetune(detector, config, folder / "finetune.py")
    read = Config.fromfile(folder / "finetune.py")
    assert read.to_dict() == config.to_dict()
    return read


def test_it_inherits_all_but_the_start(tmp_path: Path) -> None:
    (tmp_path / "it's {x} #1").mkdir()
    detector = tmp_path / "it's {x} #1" / "det.py"
    detector.write_text(DETECTOR)
    config = written(str(detector), tmp_path)
    assert config.load_from == str(tmp_path / "detector.pth")
    assert config.model.backbone.init_cfg is None
    assert len((tmp_path / "finetune.py").read_text().splitlines()) < 15


@pytest.mark.parametrize("detector", ["aligndet::demo/retinanet_r18.py", CASCADE])
def test_labels_reach_data_evaluators_and_classes(detector: str, tmp_path: Path) -> None:
    """Heads in a list too; ours is inherited by its file, so that no project needs to know the package."""
    train, val = (str(make_coco(tmp_path, 2, seed)) for seed in range(2))
    folders = (str(tmp_path / "images"), str(tmp_path / "images"))
    options = {"train_dataloader.batch_size": 7}
    config = written(detector, tmp_path, ((train, val), folders), **options)
    heads = config.model.bbox_head if "bbox_head" in config.model else config.model.roi_head.bbox_head
    for head in heads if isinstance(heads, list) else [heads]:
        assert head.num_classes == 2
    assert config.train_dataloader.dataset.ann_file == train
    assert config.train_dataloader.batch_size == 7
    for part in ("val", "test"):
        assert config[f"{part}_dataloader"].dataset.data_prefix.img == folders[1]
        assert config[f"{part}_evaluator"].ann_file == val
    assert tuple(config.val_dataloader.dataset.metainfo.classes) == ("red", "green")
    assert "aligndet::" not in (tmp_path / "finetune.py").read_text()


def test_a_model_without_classes(tmp_path: Path) -> None:
    labels = make_coco(tmp_path, 2)
    rpn = "mmdet::rpn/rpn_r50_fpn_1x_coco.py"
    both = ((str(labels), str(labels)), (str(tmp_path), str(tmp_path)))
    with pytest.raises(InputError, match="no 'num_classes' in 'model'"):
        finetune_config(rpn, tmp_path / "d.pth", both, {})


@pytest.mark.parametrize("theirs", ["json", ["json"]])
def test_modules_that_the_detector_imports_stay(
    theirs: str | list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """mmengine takes a name as well as a list of names."""
    ours = {"imports": ["aligndet"], "allow_failed_imports": True}
    monkeypatch.setattr("aligndet.pipeline.finetune_config.stand_in_imports", lambda: ours)
    imports = {"imports": theirs, "allow_failed_imports": False}
    detector = tmp_path / "det.py"
    detector.write_text(f"{DETECTOR}\ncustom_imports = {imports}\n")
    config = written(str(detector), tmp_path)
    assert config.custom_imports == {"imports": ["aligndet", "json"], "allow_failed_imports": False}
