"""What a data preprocessor gives beside images and samples reaches both networks.

Kind: a preprocessor that gives a third thing, and a detector whose ``forward`` takes it under that name and
hands it to ``loss`` under another (SR-TOD, detectors of several modalities).
"""

from typing import Any

import pytest
import torch
from mmdet.models import DetDataPreprocessor, SingleStageDetector
from mmengine.config import ConfigDict

from aligndet.box_domain import BoxDomainPretrainer
from aligndet.common.errors import InputError
from aligndet.evaluation.retrieval import measure
from tests.small import batch, detector, tiny


class GivesSource(DetDataPreprocessor):
    def forward(self, data: Any, training: bool = False) -> Any:
        mean = torch.stack([image.float().mean() for image in data["inputs"]])  # (B,), of the view
        return {**super().forward(data, training), "source": mean}


class TakesSource(SingleStageDetector):
    seen: list[tuple[bool, list[float]]]

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor", *, source: Any) -> Any:
        return self.loss(inputs, data_samples, source)

    def loss(self, batch_inputs: Any, batch_data_samples: Any, brightness: Any) -> Any:
        self.seen.append((torch.is_grad_enabled(), brightness.tolist()))
        return super().loss(batch_inputs * (1 + brightness.view(-1, 1, 1, 1)), batch_data_samples)


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> ConfigDict:
    monkeypatch.setattr(TakesSource, "seen", [], raising=False)
    model = tiny()
    model.update(type=TakesSource)
    model.data_preprocessor.type = GivesSource
    return model


def data() -> dict[str, Any]:
    """Two views of which the momentum one is darker."""
    given = batch()
    given["inputs"]["momentum"] = [image // 4 for image in given["inputs"]["momentum"]]
    return given


def test_each_network_gets_that_of_its_view(config: ConfigDict) -> None:
    model: Any = BoxDomainPretrainer(config)
    views = data()["inputs"]
    losses = model(**model.data_preprocessor(data(), True), mode="loss")
    assert losses["positives"] > 0
    expected = [
        (grad, [float(i.float().mean()) for i in views[v]])
        for grad, v in ((False, "momentum"), (True, "online"))
    ]
    assert TakesSource.seen == expected


def test_features_are_measured_with_it(config: ConfigDict) -> None:
    model: Any = BoxDomainPretrainer(config)
    assert 0 <= measure(model, [data()])["found"] <= 1
    assert len(TakesSource.seen) == 2


def test_two_stages_take_it(config: ConfigDict, monkeypatch: pytest.MonkeyPatch) -> None:
    """The adapter of RoIs has a step of its own around the detector's."""
    two = detector("faster_rcnn")
    seen = []
    kind = type("TakesToo", (type(BoxDomainPretrainer(two).online),), {})

    def forward(
        self: Any, inputs: Any, data_samples: Any = None, mode: str = "tensor", source: Any = None
    ) -> Any:
        seen.append(source)
        return self.loss(inputs, data_samples)

    kind.forward = forward  # type: ignore[attr-defined]
    two.update(type=kind)
    two.data_preprocessor.type = GivesSource
    model: Any = BoxDomainPretrainer(two)
    model(**model.data_preprocessor(data(), True))
    assert [value.shape for value in seen] == [(2,), (2,)]


def test_a_detector_that_does_not_take_it_is_named(config: ConfigDict) -> None:
    config.update(type="RetinaNet")
    model: Any = BoxDomainPretrainer(config)
    with pytest.raises(InputError, match=r"RetinaNet.*GivesSource.*'source'") as caught:
        model(**model.data_preprocessor(data(), True))
    assert "\n" not in str(caught.value)


def test_a_preprocessor_that_does_not_give_it_is_named(config: ConfigDict) -> None:
    config.data_preprocessor.type = "DetDataPreprocessor"
    model: Any = BoxDomainPretrainer(config)
    with pytest.raises(InputError, match=r"TakesSource.*DetDataPreprocessor.*'source'"):
        model(**model.data_preprocessor(data(), True))
