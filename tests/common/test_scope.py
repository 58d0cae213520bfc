"""``aligndet::`` after a bare import, in fresh processes: which of the two comes first does not matter."""

import subprocess
import sys
from pathlib import Path

import pytest

BARE = "import aligndet, sys; assert 'mmengine' not in sys.modules"
LATE = "import mmengine.config.config, aligndet"
ASKED = "from aligndet.common.scope import make_known; make_known(); make_known()"


def answer(folder: Path, code: str) -> str:
    run = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
    return run.stdout.strip()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's folder with a config that inherits one of ours and takes a part of it."""
    lines = ['_base_ = "aligndet::_base_/two_views.py"', "taken = _base_.train_dataloader"]
    (tmp_path / "mine.py").write_text("\n".join(lines))
    return tmp_path


@pytest.mark.parametrize("start", [BARE, LATE, ASKED], ids=["before mmengine", "after mmengine", "asked"])
def test_inherited_from_a_users_folder(folder: Path, start: str) -> None:
    code = f"{start}\nfrom mmengine.config import Config\nc = Config.fromfile('mine.py')\n"
    code += "print(c.taken.dataset.type, c.taken.get('_scope_'), c.taken.dataset.get('_scope_'))"
    assert answer(folder, code) == "aligndet.ProposalDataset None None"


def test_hub_and_metafile(folder: Path) -> None:
    lines = [
        *(BARE, "from pathlib import Path", "from mmengine.hub import get_config"),
        "from mmengine.config.utils import _get_cfg_metainfo",
        "print(get_config('aligndet::box_domain/retinanet_r50_fpn_1x_coco.py').model.type)",
        "package = str(Path(aligndet.__file__).parent)",
        "print(_get_cfg_metainfo(package, 'finetune/detr_r50_50e_coco.py')['In Collection'])",
    ]
    assert answer(folder, "\n".join(lines)).splitlines() == [
        "aligndet.BoxDomainPretrainer",
        "AlignDet fine-tuning",
    ]


def test_the_loader_stays_what_it_is(folder: Path) -> None:
    code = f"{BARE}\nimport inspect\nfrom mmengine.config import Config\n"
    code += "print(inspect.getsource(Config)[:12])"
    assert answer(folder, code) == "class Config"


def test_looking_for_mmengine_without_importing_it_is_harmless(folder: Path) -> None:
    code = f"{BARE}\nimport importlib.util\nimportlib.util.find_spec('mmengine.config')\n"
    code += "from mmengine.config.utils import MODULE2PACKAGE\nprint('aligndet' in MODULE2PACKAGE)"
    assert answer(folder, code) == "True"
