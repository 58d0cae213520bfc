"""A checkpoint's config is read as literals: what configs are written of, and nothing that has to be run."""

import math
import sys

import pytest
from mmengine.config import Config

from aligndet.common.config_text import config_text
from aligndet.common.configs import read_config
from aligndet.common.literal_config import HeldCodeError, Named, parse_literals

VALUES = {
    "a = 1": 1,
    "a = -1.5e-3": -0.0015,
    "a = 'x' 'y'": "xy",
    "a = b'x'": b"x",
    "a = None": None,
    "a = [1, (2,), {3}]": [1, (2,), {3}],
    "a = dict(b=dict(c=True))": {"b": {"c": True}},
    "a = {'b-c': [1], 2: ...}": {"b-c": [1], 2: ...},
    "a = dict({'data/': 's3://x/'})": {"data/": "s3://x/"},
    "a = dict({'b': 1}, c=2)": {"b": 1, "c": 2},
    "a = float('inf')": math.inf,
    "a = set()": set(),
    "a = range(1, 3)": range(1, 3),
    "'''A docstring.'''\na = b = 2": 2,
    "from mmdet.models import ATSS\na = dict(type=ATSS)": {"type": "mmdet.models.ATSS"},
    "import torch.nn\na = torch.nn.ReLU": "torch.nn.ReLU",
    "import torch.nn as n\na = n.ReLU": "torch.nn.ReLU",
}


@pytest.mark.parametrize("text", VALUES)
def test_literals_are_read(text: str) -> None:
    assert parse_literals(text).a == VALUES[text]


CODE = (
    *("a = open('x')", "a = print", "print(1)", "a = (lambda: 1)()", "a = [x for x in (1,)]", "a = f'{1}'"),
    *(
        "def f(): pass",
        "if 1: a = 1",
        "a = 1 if 1 else 2",
        "a = 'x' * 99999999999",
        "a = 2 ** 9**9",
        "a.b = 1",
    ),
    *(
        "a = dict(**{'b': 1})",
        "a = dict(1)",
        "a = dict([1])",
        "a = float(x='1')",
        "a = float([1])",
        "a = -'x'",
    ),
    *(
        "a = {[1]: 2}",
        "a = {(1): {2: 3}, **{}}",
        "a = range('x')",
        "a = (1).real",
        "a = [*[1]]",
        "import x; x()",
    ),
    *("a = 1\ndel a", "with x: pass", "@f\nclass A: pass", "filename = 'x'", "a = {[1]}", "assert 0"),
    *("a = " + "-" * 100_000 + "1", "a = '" + "x" * 2_000_001 + "'", "dict = print\na = dict(b=1)()"),
)


@pytest.mark.parametrize("text", CODE, ids=lambda text: text[:24])
def test_code_is_refused(text: str) -> None:
    with pytest.raises((HeldCodeError, SyntaxError)) as caught:
        parse_literals(text)
    assert "\n" not in str(caught.value)


def test_a_name_imports_nothing() -> None:
    before = set(sys.modules)
    config = parse_literals("from antigravity import x\nimport this\na = [x, this.s]")
    assert config.a == ["antigravity.x", "this.s"]
    assert all(type(name) is Named for name in config.a)
    assert not {"antigravity", "this"} & (set(sys.modules) - before)


@pytest.mark.parametrize(
    "name",
    [
        "mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py",
        "mmdet::dsdl/openimagesv6.py",
        "aligndet::box_domain/detr_r50_50e_coco.py",
    ],
)
def test_texts_of_runs_are_read_as_mmengine_reads_them(name: str) -> None:
    """In our own style and in mmengine's."""
    config = read_config(name)
    for text in (config_text(config), config.pretty_text):
        ran = Config.fromstring(text, ".py")
        assert parse_literals(text).to_dict() == ran.to_dict()
