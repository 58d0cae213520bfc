"""What docs/architecture.md promises to who adds something: one file in a package of one's own, and one line.

An adapter from another project is tried in tests/box_domain/adapters/test_outside.py.
"""

import json
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from aligndet.comparison import metrics
from aligndet.comparison.execute import Outcome
from aligndet.comparison.plan import Run
from aligndet.comparison.report import to_markdown
from aligndet.comparison.results import gather
from aligndet.comparison.score import coco_scores
from aligndet.comparison.settings import EvalSet, Settings, Start
from aligndet.pipeline import plan
from aligndet.pipeline.process import Place, run_in_process
from aligndet.pipeline.question import Question
from aligndet.proposals.options import ProposalOptions
from aligndet.proposals.runner import make_proposals
from aligndet.proposals.store import ProposalStore
from tests.small_coco import make_coco


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An importable package of somebody else's, in this process and in those that it starts."""
    folder = tmp_path / "my_additions"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == folder.name]:
        del sys.modules[name]


def write(package: Path, name: str, code: str) -> None:
    (package / f"{name}.py").write_text(textwrap.dedent(code))


def test_a_proposal_backend_is_a_function(package: Path, tmp_path: Path) -> None:
    write(
        package,
        "centre",
        """
        import numpy as np

        def centre_backend(part=0.5):
            def search(image):
                height, width = image.shape[:2]
                size = np.array([width, height, width, height])
                corners = np.array([[1 - part, 1 - part, 1 + part, 1 + part]]) / 2
                return (corners * size).astype(np.float32), np.ones(1, np.float32)

            return search
        """,
    )
    (tmp_path / "photos").mkdir()
    cv2.imwrite(str(tmp_path / "photos" / "a.png"), np.zeros((80, 100, 3), np.uint8))
    options = ProposalOptions("my_additions.centre:centre_backend", {"part": 0.4})
    make_proposals(tmp_path / "photos", tmp_path / "store", options, workers=1)
    boxes = ProposalStore.open(tmp_path / "store").boxes(0)
    assert np.allclose(boxes, [[30, 24, 70, 56]])


@pytest.fixture
def recall() -> Iterator[str]:
    """The line that adds a measure."""
    metrics.METRICS.append(metrics.Metric("AR100", lambda measured: measured.stats[8]))
    yield "AR100"
    metrics.METRICS.pop()


def test_a_metric_is_a_line_in_a_list(recall: str, tmp_path: Path) -> None:
    """It is measured, kept, and shown in the table; nothing else names it."""
    labels = make_coco(tmp_path, num_images=2)
    truth = json.loads(labels.read_text())["annotations"]
    scores = coco_scores(labels, [{**box, "score": 1.0} for box in truth[::2]])
    assert scores[recall] == pytest.approx(0.5)  # one of two classes
    place = EvalSet(labels, tmp_path / "images")
    asked = Settings("c.py", (Start("random"),), place, place, place, tmp_path, {10.0: 5}, (0.1,))
    run = Run("random", 10.0, 0, 0.1, 5, tmp_path, {})
    compared = gather([Outcome(run, {"report": scores, "tune": scores})], [], asked, {})
    header, _, row = (line.split(" | ") for line in to_markdown(compared).splitlines()[2:5])
    assert row[header.index(recall)] == "50.00"
    assert compared.to_json()["arms"][0][recall] == pytest.approx(50)


def test_a_stage_is_a_module_and_its_name(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is planned with the others, and runs in a process of its own."""
    write(
        package,
        "count",
        """
        from dataclasses import dataclass
        from pathlib import Path

        from aligndet.pipeline.stage import Stage

        @dataclass(frozen=True)
        class CountRequest:
            images: str
            out: str

        def plan(question):
            request = CountRequest(question.images, str(question.path("count.txt")))
            return Stage("count", "images are counted", f"{__name__}:run", request, ("count.txt",))

        def run(request: CountRequest):
            number = len(list(Path(request.images).glob("*.png")))
            Path(request.out).write_text(str(number))
            return {"images": number}

        def lines(result):
            return [f"{result['images']} images"]
        """,
    )
    monkeypatch.setattr(plan, "STAGES", [*plan.STAGES, "my_additions.count"])
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").touch()
    stage = plan.stages(Question("mmdet::x.py", str(tmp_path / "photos"), str(tmp_path)))[-1]
    result = run_in_process(stage.name, stage.function, stage.request, Place(tmp_path, tmp_path / "log.txt"))
    assert (tmp_path / stage.outputs[0]).read_text() == "1"
    assert plan.module_of(stage).lines(result) == ["1 images"]
