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


#: A checkpoint, a backbone, and the prefixes that lead from one to the other.
RENAMINGS = {
    "torchvision: same names": (BACKBONE, BACKBONE, ("", "")),
    "mmpretrain": (under("backbone.", BACKBONE), BACKBONE, ("backbone.", "")),
    "timm into TIMMBackbone": (BACKBONE, under("timm_model.", BACKBONE), ("", "timm_model.")),
    "TIMMBackbone to itself: the shortest way": (
        *(under("backbone.timm_model.", BACKBONE), under("timm_model.", BACKBONE), ("backbone.", "")),
    ),
    "classifier left over": ({"fc.weight": (10, 8)} | BACKBONE, BACKBONE, ("", "")),
}


@pytest.mark.parametrize(
    ("taken", "left"),
    [
        ("module.encoder_q.", "module.encoder_k."),  # MoCo: query, not key
        ("teacher.backbone.", "student.module.backbone."),  # DINO: teacher, not student
        ("online.backbone.", "momentum.backbone."),  # box domain: online, not momentum
    ],
)
def test_the_network_that_is_meant_to_be_used_is_taken(taken: str, left: str) -> None:
    best = candidates(under(left, BACKBONE) | under(taken, BACKBONE), BACKBONE)[0]
    assert best.renaming == Renaming(taken, "")


@pytest.mark.parametrize(("source", "target", "found"), RENAMINGS.values(), ids=RENAMINGS)
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


def test_children_in_a_sequential_are_known_by_their_order() -> None:
    """lightly's backbones: activation and pooling count too, a classifier may follow."""
    wanted = {
        "conv1.weight": (8, 3, 7, 7),
        "bn1.weight": (8,),
        "layer1.0.conv1.weight": (8, 8, 3, 3),
        "layer2.0.conv1.weight": (16, 8, 3, 3),
    }
    offered = {
        "backbone.0.weight": (8, 3, 7, 7),
        "backbone.1.weight": (8,),
        "backbone.4.0.conv1.weight": (8, 8, 3, 3),
        "backbone.5.0.conv1.weight": (16, 8, 3, 3),
        "backbone.9.weight": (10, 16),
        "projection_head.layers.0.weight": (32, 16),
    }
    best = candidates(offered, wanted)[0]
    assert (best.fraction, best.renaming.source) == (1.0, "backbone.")
    assert dict(best.pairs)["layer2.0.conv1.weight"] == "backbone.5.0.conv1.weight"
    assert best.unexpected == ("backbone.9.weight",)
    fits = {key.removeprefix("backbone."): shape for key, shape in offered.items() if ".9." not in key}
    assert candidates(fits, wanted)[0].fraction == 1.0
