"""Of a checkpoint's config only registered classes are built; texts that runs write are taken as they are."""

from pathlib import Path

import pytest
from mmengine.config import Config

from aligndet.common.config_text import config_text
from aligndet.common.configs import read_config
from aligndet.common.errors import InputError
from aligndet.common.trust import trusting
from aligndet.image_domain.held_config import config_to_build


def text_of(model: str, more: str = "") -> str:
    return f"{more}\nmodel = dict(type='BoxDomainPretrainer', detector={model})"


@pytest.mark.parametrize(
    "name", ["mmdet::retinanet/retinanet_r50_fpn_1x_coco.py", "mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py"]
)
def test_models_of_runs_are_taken_as_they_are(name: str) -> None:
    config = read_config(name)
    assert config_to_build(config_text(config), "x").model == config.model


def test_classes_named_with_their_modules_are_the_registered_ones() -> None:
    from mmdet.models import FPN

    imported = text_of("dict(type=FPN)", "from mmdet.models.necks.fpn import FPN")
    for text in (imported, text_of("dict(type='mmdet.models.necks.fpn.FPN')")):
        assert config_to_build(text, "x").model.detector.type is FPN
    assert config_to_build(text_of("dict(type='mmdet.FPN')"), "x").model.detector.type == "mmdet.FPN"


def test_layers_that_no_registry_has_are_taken_from_torch_and_mmcv() -> None:
    """A config in the new style gives a RoI head the class of its layer."""
    from mmcv.ops import RoIAlign

    assert config_to_build(text_of("dict(type='mmcv.ops.RoIAlign')"), "x").model.detector.type is RoIAlign
    for kind in ("torch.nn.functional.relu", "torch.nn.init.zeros_", "mmcv.ops.nms"):
        with pytest.raises(InputError, match="is in no registry"):
            config_to_build(text_of(f"dict(type='{kind}')"), "x")


REFUSED = {
    "dict(type='os.system')": "model.detector.type='os.system'",
    "dict(type='mmdet.apis.init_detector')": "model.detector.type='mmdet.apis.init_detector'",
    "dict(type='mmdet.datasets')": "model.detector.type='mmdet.datasets'",
    "dict(type='json')": "model.detector.type='json'",
    "dict(type='')": "model.detector.type=''",
    "dict(type=3)": "model.detector.type='3'",
    "dict(a=[dict(b=(dict(type='x.y'),))])": "model.detector.a.0.b.0.type='x.y'",
    "dict(_scope_='strange', type='FPN')": "model.detector._scope_='strange'",
    "dict(_scope_=3)": "model.detector._scope_='3'",
    "dict(type='FPN', trust_remote_code=True)": "model.detector.trust_remote_code",
    "dict(type='FPN', warp_mode='print(1)')": "model.detector.warp_mode='print(1)'",
}


@pytest.mark.parametrize("model", REFUSED)
def test_what_no_registry_has_is_refused(model: str) -> None:
    with pytest.raises(InputError, match="give the module that registers it with --import") as caught:
        config_to_build(text_of(model), "x.pth")
    assert str(caught.value).startswith(f"x.pth: the config in it: {REFUSED[model]}")


def test_the_modules_to_import_are_named_and_not_imported(tmp_path: Path) -> None:
    imports = "custom_imports = dict(imports=['antigravity'])"
    with pytest.raises(InputError, match=r"--import, such as what its custom_imports name: .*antigravity"):
        config_to_build(text_of("dict(type='antigravity.Head')", imports), "x")
    with pytest.raises(InputError, match=r"default_scope='strange'"):
        config_to_build(text_of("dict(type='FPN')", "default_scope = 'strange'"), "x")


@pytest.mark.parametrize("named_by", ["custom_imports", "type"])
def test_of_own_modules_those_that_register_classes_are_imported(
    named_by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file chooses among what the user has: here it names a module that does something else, too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    neck = f"HeldNeck{named_by}"
    Path(f"held_{named_by}.py").write_text(
        "from mmdet.models import FPN\nfrom mmdet.registry import MODELS\n"
        f"@MODELS.register_module()\nclass {neck}(FPN): pass\n"
    )
    Path("other_program.py").write_text("from pathlib import Path\nPath('ran').touch()\n")
    imports = f"custom_imports = dict(imports=['other_program', 'held_{named_by}'])"
    if named_by == "type":
        config = config_to_build(text_of(f"dict(type='held_type.{neck}', a=dict(type='FPN'))"), "x")
        assert config.model.detector.type.__name__ == neck
    else:
        assert config_to_build(text_of(f"dict(type='{neck}')", imports), "x").model.detector.type == neck
    assert not Path("ran").exists()
    with pytest.raises(InputError, match="custom_imports"):
        config_to_build(text_of("dict(type='FPN')", "custom_imports = dict(imports=3)"), "x")


def test_a_trusted_text_is_run() -> None:
    text = text_of("dict(type='os.system', a=len('abc'))")
    with pytest.raises(InputError, match=r"line 2 holds code; .* give --trust"):
        config_to_build(text, "x")
    with trusting():
        config = config_to_build(text, "x")
    assert isinstance(config, Config)
    assert config.model.detector.a == 3
