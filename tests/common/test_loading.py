"""What mmengine reads: weights by our reader, pickles and YAML without code where files must run none."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from mmengine.config import Config
from mmengine.fileio import load
from mmengine.logging import HistoryBuffer
from mmengine.model import Sequential
from mmengine.runner import checkpoint, load_checkpoint
from mmengine.structures import InstanceData
from torch import nn

from aligndet.common.checkpoints import CheckpointError, write_safetensors
from aligndet.common.errors import InputError
from aligndet.common.loading import read_for_mmengine
from aligndet.common.trust import files_run_no_code, trusting


def test_mmengine_loads_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_safetensors(path, {"0.weight": torch.full((2, 2), 3.0), "0.bias": torch.zeros(2)}, {"source": "x"})
    model = Sequential(nn.Linear(2, 2), init_cfg={"type": "Pretrained", "checkpoint": str(path)})
    model.init_weights()
    assert torch.equal(model[0].weight, torch.full((2, 2), 3.0))
    other = Sequential(nn.Linear(2, 2))
    assert load_checkpoint(other, str(path))["meta"]["source"] == "x"
    assert torch.equal(other[0].weight, torch.full((2, 2), 3.0))


def test_histories_and_arrays_come_out_as_they_were_saved(tmp_path: Path) -> None:
    history = HistoryBuffer([1.0, 2.5], [1, 2])
    hub = {
        "log_scalars": {"loss": history},
        "runtime_info": {"best": np.float32(0.5), "list": [np.arange(6)]},
    }
    more = {"args": (np.array([["a"]]), np.eye(2)[:, ::-1], np.array([{"b": np.ones(1)}], object))}
    torch.save({"message_hub": hub, **more}, tmp_path / "a.pth")
    content = read_for_mmengine(tmp_path / "a.pth")
    read = content["message_hub"]["log_scalars"]["loss"]
    assert type(read) is HistoryBuffer
    assert (read.mean(), read.current(), read.statistics("max")) == (history.mean(), 2.5, 2.5)
    read.update(4.0)
    assert [values.tolist() for values in read.data] == [[1.0, 2.5, 4.0], [1, 2, 1]]
    best = content["message_hub"]["runtime_info"]["best"]
    assert (type(best), best) == (np.float32, np.float32(0.5))
    assert content["message_hub"]["runtime_info"]["list"][0].tolist() == list(range(6))
    names, flipped, objects = content["args"]
    assert (names.tolist(), flipped.tolist()) == ([["a"]], [[0, 1], [1, 0]])
    assert objects[0]["b"].tolist() == [1.0]
    torch.save(content, tmp_path / "b.pth")  # as the next checkpoint of the run
    assert read_for_mmengine(tmp_path / "b.pth")["message_hub"]["log_scalars"]["loss"].current() == 4.0


def test_the_text_that_mmengine_would_run_is_taken_out(tmp_path: Path) -> None:
    torch.save({"meta": {"config": "gpu_ids = range(1)", "iter": 1}}, tmp_path / "a.pth")
    assert read_for_mmengine(tmp_path / "a.pth")["meta"] == {"iter": 1}
    with trusting():
        assert "config" in read_for_mmengine(tmp_path / "a.pth")["meta"]


def test_a_url_is_downloaded_once(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "a.pth")
    url = (tmp_path / "a.pth").as_uri()
    first = checkpoint.load_url(url, model_dir=str(tmp_path / "kept"), progress=False)
    (tmp_path / "a.pth").unlink()
    again = checkpoint.load_url(url, model_dir=str(tmp_path / "kept"), progress=False)
    assert torch.equal(first["a"], again["a"])
    with pytest.raises(FileNotFoundError):
        load_checkpoint(nn.Linear(1, 1), str(tmp_path / "a.pth"))


def test_a_dataset_s_proposals_are_read_as_mmdet_takes_them(tmp_path: Path) -> None:
    boxes = InstanceData(bboxes=np.ones((2, 4)), scores=np.ones(2))
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"a.jpg": boxes}))
    with files_run_no_code():
        read = load(tmp_path / "a.pkl")["a.jpg"]
    assert isinstance(read, InstanceData)
    assert read.bboxes.tolist() == boxes.bboxes.tolist()
    (tmp_path / "b.pkl").write_bytes(pickle.dumps(Path("x")))
    with files_run_no_code(), pytest.raises(InputError, match=r"a pickle.*holds a pathlib.*; give --trust"):
        load(tmp_path / "b.pkl")
    assert load(tmp_path / "b.pkl") == Path("x")  # a program that imports us reads what it likes


def test_yaml_makes_no_objects(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: !!python/object/apply:print ['ran']\n")
    with files_run_no_code(), pytest.raises(yaml.constructor.ConstructorError):
        Config.fromfile(str(tmp_path / "a.yaml"))
    (tmp_path / "b.yaml").write_text("a: {b: [1, x]}\n")
    with files_run_no_code():
        assert Config.fromfile(str(tmp_path / "b.yaml")).a.b == [1, "x"]


@pytest.mark.parametrize(
    "state",
    [
        {"_log_history": [1.0], "_count_history": [1]},
        {"_log_history": np.ones((2, 2)), "_count_history": np.ones(2)},
        {"_log_history": np.array(["a"]), "_count_history": np.ones(1)},
        {},
    ],
)
def test_a_history_without_rows_of_numbers_is_refused(tmp_path: Path, state: dict[str, object]) -> None:
    history = HistoryBuffer()
    history.__dict__.clear()
    history.__dict__.update(state)
    torch.save({"a": history}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="is no row of numbers; give --trust"):
        read_for_mmengine(tmp_path / "a.pth")
