"""The text of a config reads back as the same objects: classes stay classes, whatever stands where."""

import enum
import functools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from torch import nn

from aligndet.common.config_text import WrittenConfig, config_text
from aligndet.common.errors import InputError


class Way(enum.Enum):
    """A choice of a project."""

    UP = 1


class Outer:
    """A class that holds another."""

    class Inner:
        """Held."""


norm_of_mine = functools.partial(nn.LayerNorm, eps=1e-6)


def again(**content: Any) -> Config:
    """A config written and read back."""
    return Config.fromstring(config_text(Config(content)), ".py")


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        'it\'s "quoted"\n',
        1e-5,
        (1,),
        (),
        [(1333, 640), (1333, 800)],
        [[], [{"type": "X"}]],
        {"0": {"a b": 1}, "class": (2, [3])},
        {1: "one"},
        b"bytes",
        {"deep": {"er": [{"and": ({"so": "on" * 200},)}]}},
    ],
)
def test_values_come_back_as_they_were(value: Any) -> None:
    assert again(key=value).to_dict()["key"] == value


def test_numbers_that_are_no_literals() -> None:
    config = again(ranges=((-math.inf, 64), (64, math.inf)), nan=math.nan, rate=np.float32(0.5))
    assert config.ranges == ((-math.inf, 64), (64, math.inf))
    assert math.isnan(config.nan)
    assert config.rate == 0.5


@pytest.mark.parametrize("value", [nn.BatchNorm2d, torch.float16, math.gcd, Way.UP, Outer.Inner, dict])
def test_what_has_a_name_in_a_module_is_imported(value: Any) -> None:
    """Kind: a class, function, dtype or member given as a value, at ``type`` or at any other key."""
    config = again(norm_cfg={"type": value, "list": [1]}, norm_layer=value)
    assert config.norm_cfg.type is value
    assert config.norm_layer is value


def test_two_classes_of_one_name_and_a_key_of_that_name() -> None:
    """Kind: mmcv's and mmdet's Resize in one config, which has a key of that name, too."""
    from mmcv.transforms import Resize as Plain
    from mmdet.datasets.transforms import Resize

    config = again(Resize=1, steps=[{"type": Plain}, {"type": Resize}])
    assert [step["type"] for step in config.steps] == [Plain, Resize]
    assert config.Resize == 1


def test_a_config_in_the_new_style_is_imported_when_it_is_read_and_not_when_it_is_written(
    tmp_path: Path,
) -> None:
    """Kind: types by import; a partial that has a name; parts of a module; a module that is not there."""
    (tmp_path / "new.py").write_text(
        "import math\n"
        "import torch.nn as nn\n"
        "from mmdet.models import GIoULoss\n"
        f"from {__name__} import norm_of_mine\n"
        "from not_there import Missing\n"
        "loss = dict(type=GIoULoss, layers=[dict(type=nn.ReLU)])\n"
        "norm_layer = norm_of_mine\n"
        "def half(width):\n"
        "    return math.floor(width / 2)\n"
        "width = half(9)\n"
        "left = dict(type=Missing)\n"
    )
    text = config_text(Config.fromfile(tmp_path / "new.py"))
    assert text.count("GIoULoss") == 2, "imported once, used once; the imported name is no key"
    assert "width = 4" in text, "what made it is not written"
    config = Config.fromstring(text, ".py")
    from mmdet.models import GIoULoss

    assert config.loss.type is GIoULoss
    assert config.loss.layers[0]["type"] is nn.ReLU
    assert config.norm_layer is norm_of_mine
    with pytest.raises(ImportError, match="not_there"):
        config.left["type"]


def test_a_partial_class_at_type_is_that_class_with_its_keywords() -> None:
    config = again(norm={"type": functools.partial(nn.LayerNorm, eps=1e-6), "normalized_shape": 4})
    assert config.norm == {"type": nn.LayerNorm, "eps": 1e-6, "normalized_shape": 4}


def test_what_has_no_name_is_refused_by_its_key() -> None:
    with pytest.raises(InputError, match=r"config train_dataloader\.worker_init_fn: .*lambda"):
        config_text(Config({"train_dataloader": {"worker_init_fn": lambda number: None}}))


def test_mmengine_writes_this_text_into_checkpoints(tmp_path: Path) -> None:
    """Kind: export and resume read the config in a checkpoint, where mmengine writes a class as its name."""
    import copy

    config = copy.deepcopy(WrittenConfig.of(Config({"act_cfg": {"type": nn.SiLU}})))
    config.dump(tmp_path / "dumped.py")
    for text in (config.pretty_text, (tmp_path / "dumped.py").read_text()):
        assert Config.fromstring(text, ".py").act_cfg.type is nn.SiLU
