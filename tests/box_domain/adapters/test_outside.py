"""A head from somebody's own project is served by an adapter that its config imports (docs/adapters.md)."""

import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS as MMDET_MODELS
from mmengine.config import Config
from mmengine.utils import import_modules_from_strings

from aligndet.box_domain import BoxDomainPretrainer
from aligndet.box_domain.adapters import base
from tests.small import batch

DOCS = Path(__file__).parents[3] / "docs" / "adapters.md"
HEAD = '''
import torch
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.registry import MODELS
from mmdet.structures.bbox import bbox_overlaps
from torch import nn
from torch.nn import functional as F


@MODELS.register_module()
class MyHead(BaseDenseHead):
    """One level of square cells; the targets of a cell are made on the spot, without mmdet's assigners."""

    def __init__(self, num_classes, in_channels, stride=32, **kwargs):
        super().__init__()
        self.num_classes, self.stride = num_classes, stride
        self.tower = nn.Conv2d(in_channels, in_channels, 3, padding=1)
        self.conv_cls = nn.Conv2d(in_channels, num_classes, 1)
        self.conv_box = nn.Conv2d(in_channels, 4, 1)

    def cells(self, size):
        row, col = torch.meshgrid(*(torch.arange(n) * self.stride for n in size), indexing="ij")
        corner = torch.stack([col, row], -1).view(-1, 2).float()
        return torch.cat([corner, corner + self.stride], 1)

    def forward(self, feats):
        x = self.tower(feats[-1]).relu()
        return self.conv_cls(x), self.conv_box(x)

    def loss_by_feat(self, scores, boxes, batch_gt_instances, batch_img_metas, ignored=None):
        cells, cls, box = self.cells(scores.shape[-2:]), 0, 0
        for s, b, gt in zip(scores.flatten(2).mT, boxes.flatten(2).mT, batch_gt_instances):
            overlap, nearest = bbox_overlaps(cells, gt.bboxes).max(1)
            object_ = overlap >= 0.3
            target = F.one_hot(gt.labels[nearest], self.num_classes) * object_[:, None]
            cls = cls + F.binary_cross_entropy_with_logits(s, target.float())
            found = (cells + b * self.stride)[object_]
            box = box + F.l1_loss(found, gt.bboxes[nearest][object_]) / self.stride
        return dict(loss_cls=cls, loss_bbox=box)

    def predict_by_feat(self, *args, **kwargs):
        raise NotImplementedError
'''


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Config]:
    """A project of somebody else's: a head, the adapter from the documentation, a config with both."""
    package = tmp_path / "my_project"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "my_head.py").write_text(HEAD)
    code = next(c for c in re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.S) if "@serves" in c)
    assert len([line for line in code.splitlines() if line.strip() and not line.startswith("#")]) <= 16
    (package / "aligndet_adapter.py").write_text(code)
    (tmp_path / "detector.py").write_text(
        textwrap.dedent(
            """
            custom_imports = dict(imports=["my_project.my_head", "my_project.aligndet_adapter"])
            model = dict(
                type="SingleStageDetector",
                backbone=dict(type="ResNet", depth=18, base_channels=8, out_indices=(3,)),
                bbox_head=dict(type="MyHead", num_classes=80, in_channels=64),
            )
            """
        )
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    served = dict(base._SERVED)
    config = Config.fromfile(tmp_path / "detector.py")
    import_modules_from_strings(**config.custom_imports)
    yield config
    base._SERVED.clear()
    base._SERVED.update(served)
    MMDET_MODELS.module_dict.pop("MyHead")
    for name in [name for name in sys.modules if name.startswith("my_project")]:
        del sys.modules[name]


def test_the_documented_adapter_serves_a_head_of_another_project(project: Config) -> None:
    torch.manual_seed(0)
    model = BoxDomainPretrainer(project.model)
    model.init_weights()
    model.train()
    assert type(model.online_adapter).__name__ == "MyAdapter"
    data = model.data_preprocessor(batch(), True)
    losses = model(**data, mode="loss")
    total, _ = model.parse_losses(losses)
    total.backward()
    assert set(losses) == {"loss_cls", "loss_bbox", "loss_contrast", "positives"}
    assert losses["loss_contrast"] > 0
    assert losses["positives"] > 0
    trained = {k for k, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert {"online.bbox_head.tower.weight", "online.bbox_head.conv_box.weight"} <= trained
    assert not any("backbone" in key for key in trained)


def test_without_the_adapter_the_error_names_the_head_and_the_page(project: Config) -> None:
    del base._SERVED["MyHead"]
    with pytest.raises(ValueError, match=r"No adapter serves the head MyHead.*docs/adapters\.md"):
        BoxDomainPretrainer(project.model)
