"""The last step of the pipeline is stock mmdet: its own train tool fine-tunes an exported detector."""

import re
import subprocess
import sys
from pathlib import Path

import mmdet
import pytest
import torch
from mmengine.config import Config

from aligndet.common.configs import read_config
from aligndet.ops import stand_in_imports
from aligndet.transfer.export import export
from tests.small import detector
from tests.small_coco import make_coco
from tests.transfer.test_export import pretrained

TRAIN = Path(mmdet.__file__).parent / ".mim" / "tools" / "train.py"
ROOT = Path(__file__).parents[2]


def finetuning(folder: Path) -> Config:
    """configs/finetune/retinanet_r50_fpn_1x_coco.py for a small detector and a tiny data set."""
    config = read_config(str(ROOT / "configs" / "finetune" / "retinanet_r50_fpn_1x_coco.py"))
    config.model = detector("retinanet")
    config.model.bbox_head.num_classes = 2
    data = {"data_root": f"{folder}/", "data_prefix": {"img": "images/"}}
    for loader, labels in (
        ("train_dataloader", make_coco(folder, 4)),
        ("val_dataloader", make_coco(folder, 2, 1)),
    ):
        config[loader].update(num_workers=0, persistent_workers=False)
        metainfo = {"classes": ("red", "green")}
        config[loader].dataset.update({**data, "ann_file": labels.name, "metainfo": metainfo})
        for step in config[loader].dataset.pipeline:
            if step.type == "Resize":
                step.scale = (96, 96)
    config.val_evaluator.ann_file = str(folder / "1.json")
    config.test_dataloader, config.test_evaluator = config.val_dataloader, config.val_evaluator
    config.train_cfg.max_epochs = 1
    config.load_from = str(folder / "detector.pth")
    return config


@pytest.mark.skipif(not TRAIN.is_file(), reason="this mmdet was installed without its tools")
def test_mmdets_own_train_tool_fine_tunes_an_exported_detector(tmp_path: Path) -> None:
    pretrained("retinanet", tmp_path / "pretraining.pth")
    export(tmp_path / "pretraining.pth", tmp_path / "detector.pth")
    config = finetuning(tmp_path)
    assert "aligndet" not in config.pretty_text.replace(str(tmp_path), "")
    config.custom_imports = stand_in_imports()  # None where mmcv has compiled operators
    config.dump(tmp_path / "finetune.py")
    command = [sys.executable, str(TRAIN), str(tmp_path / "finetune.py"), "--work-dir", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    out = done.stdout + done.stderr
    assert done.returncode == 0, out[-3000:]
    missing = re.search(r"missing keys in source state_dict: (.*)", out)
    assert missing, "mmengine names what the checkpoint lacks"
    assert sorted(missing.group(1).split(", ")) == [
        "bbox_head.retina_cls.bias",
        "bbox_head.retina_cls.weight",
    ]
    assert "unexpected key" not in out
    assert re.search(r"Epoch\(val\) *\[1\]", out), "it was evaluated"
    assert (
        "bbox_head.retina_cls.weight"
        in torch.load(tmp_path / "run" / "epoch_1.pth", weights_only=False)["state_dict"]
    )
