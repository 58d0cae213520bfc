"""Finding the backbone in a checkpoint by names and shapes."""

import pytest

from aligndet.image_domain.keys import Renaming, candidates, names_of, prefixes, rename

BACKBONE = {
    "conv1.weight": (8, 3, 7, 7),
    "bn1.weight": (8,),
    "bn1.num_batches_tracked": (),
    "layer1.0.conv1.weight": (8, 8, 3, 3),
}


def under(prefix: str, shapes: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    return {prefix + key: shape for key, shape in shapes.items()}


def test_prefixes_are_every_dotted_start() -> None:
    assert prefixes(["a.b.c", "a.d"]) == ["", "a.", "a.b."]


@pytest.mark.parametrize(
    ("source", "target", "found"),
    [
        pytest.param(BACKBONE, BACKBONE, ("", ""), id="torchvision: same names"),
        pytest.param(under("backbone.", BACKBONE), BACKBONE, ("backbone.", ""), id="mmpretrain"),
        pytest.param(
            BACKBONE, under("timm_model.", BACKBONE), ("", "timm_model."), id="timm into TIMMBackbone"
        ),
        pytest.param(
            under("backbone.timm_model.", BACKBONE),
            under("timm_model.", BACKBONE),
            ("backbone.", ""),
            id="TIMMBackbone to itself: the shortest way",
        ),
        pytest.param(
            under("module.encoder_k.", BACKBONE) | under("module.encoder_q.", BACKBONE),
            BACKBONE,
            ("module.encoder_q.", ""),
            id="MoCo: query, not key",
        ),
        pytest.param(
            under("student.module.backbone.", BACKBONE) | under("teacher.backbone.", BACKBONE),
            BACKBONE,
            ("teacher.backbone.", ""),
            id="DINO: teacher, not student",
        ),
        pytest.param(
            under("momentum.backbone.", BACKBONE) | under("online.backbone.", BACKBONE),
            BACKBONE,
            ("online.backbone.", ""),
            id="box domain: online, not momentum",
        ),
        pytest.param({"fc.weight": (10, 8)} | BACKBONE, BACKBONE, ("", ""), id="classifier left over"),
    ],
)
def test_best_renaming(source: dict, target: dict, found: tuple[str, str]) -> None:
    best = candidates(source, target)[0]
    assert best.renaming == Renaming(*found)
    assert best.fraction == 1
    assert best.missing == ()


def test_lists_name_every_tensor_once() -> None:
    source = {"conv1.weight": (8, 3, 3, 3), "bn1.weight": (8,), "fc.weight": (10, 8)}
    match = rename(source, BACKBONE, Renaming("", ""))
    assert match.pairs == (("bn1.weight", "bn1.weight"),)
    assert match.mismatched == ("conv1.weight",)
    assert match.missing == ("bn1.num_batches_tracked", "layer1.0.conv1.weight")
    assert match.unexpected == ("fc.weight",)
    assert match.fraction == pytest.approx(1 / 3)  # the step counter is not counted


def test_timm_wrapper_writes_indices_with_underscores() -> None:
    source = {"stages.0.blocks.1.weight": (4,)}
    target = {"timm_model.stages_0.blocks.1.weight": (4,)}
    assert candidates(source, target)[0].pairs == (
        ("timm_model.stages_0.blocks.1.weight", "stages.0.blocks.1.weight"),
    )


def test_given_prefix_is_the_only_one_tried() -> None:
    source = under("backbone.", BACKBONE)
    assert candidates(source, BACKBONE, prefix="encoder.") == []
    assert candidates(source, BACKBONE, prefix="backbone.")[0].fraction == 1


def test_no_name_in_common_gives_no_candidate() -> None:
    assert candidates({"patch_embed.weight": (4,)}, BACKBONE) == []


def test_mmpretrain_counts_what_mmdet_names() -> None:
    """Inverted residuals: three convolutions, or two where nothing is expanded."""
    counted = ["layer1.0.conv.0.conv.weight", "layer1.0.conv.1.bn.bias"]
    counted += [f"layer2.0.conv.{i}.conv.weight" for i in range(3)]
    named = ["layer1.0.depthwise_conv.conv.weight", "layer1.0.linear_conv.bn.bias"]
    named += [f"layer2.0.{kind}_conv.conv.weight" for kind in ("expand", "depthwise", "linear")]
    source = {f"backbone.{key}": (8, i) for i, key in enumerate(counted)}
    target = {key: (8, i) for i, key in enumerate(named)}
    best = candidates(source, target)[0]
    assert best.fraction == 1
    assert dict(best.pairs) == {n: f"backbone.{c}" for n, c in zip(named, counted, strict=True)}
    assert names_of(counted, counted) == {}, "where the backbone counts too, nothing is renamed"
