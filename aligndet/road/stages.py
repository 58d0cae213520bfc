"""The stages of the road: which commands each gives, and what it leaves behind."""

from __future__ import annotations

from pathlib import Path

from mmengine.runner import find_latest_checkpoint

from aligndet.common.files import content_hash
from aligndet.road import numbers, written
from aligndet.road.inputs import config_content, images_content
from aligndet.road.plan import Road
from aligndet.road.stage import Stage
from aligndet.road.state import stamps

SEE_LOG = "see the log; python -m aligndet doctor examines the installation"


def stages(road: Road) -> list[Stage]:
    """The stages that a road needs, in order."""
    found = [] if road.proposals else [proposals(road)]
    if road.backbone or road.image_config:
        found.append(image_domain(road))
    found += [box_domain(road), export(road)]
    return [*found, finetune(road)] if road.finetune or road.train else found


def proposal_file(road: Road) -> Path:
    """The proposals, made by the road or before."""
    return road.proposals or road.path("0_proposals", "proposals")


def start_config(road: Road) -> str:
    """The detector as the box domain begins with it."""
    trained = road.backbone or road.image_config
    return str(road.path("1_image_domain", "detector.py")) if trained else road.detector


def proposals(road: Road) -> Stage:
    """Boxes on the unlabelled images."""
    out, words = proposal_file(road), road.options.get("proposals", ())
    return Stage(
        "0_proposals",
        "proposals: boxes on the unlabelled images",
        (road.tool("make_proposals", road.images, out, "--workers", road.cores, *words),),
        (out,),
        mend="see the log; python tools/make_proposals.py --help",
        number=lambda: numbers.proposals(out),
        depends=images_content(road.images),
        after=(),
    )


def image_domain(road: Road) -> Stage:
    """The backbone, trained on the images or loaded, under the detector's own keys."""
    folder = road.path("1_image_domain")
    run, weights, config = folder / "run", folder / "weights.pth", folder / "detector.py"
    whole, commands, depends = False, [], [road.detector, config_content(road.detector, road.root)]
    source = road.backbone or str(run)
    if road.image_config:
        options = (f"train_dataloader.dataset.data_root={road.images}", *road.options.get("image", ()))
        commands.append(road.train_tool(road.image_config, run, options))
        depends.append(images_content(road.images))
        whole = trains_detector(road.image_config)
    elif file := checkpoint_file(source):
        depends.append(content_hash(file))
    tool = "export_insloc" if whole else "convert_backbone"
    commands.append(road.tool(tool, source, weights, "--detector", road.detector))
    return Stage(
        "1_image_domain",
        f"image domain: {'train ' + road.image_config if road.image_config else 'load ' + source}",
        tuple(commands),
        (weights, config),
        mend=SEE_LOG,
        number=lambda: numbers.image_domain(run, folder / "log.txt"),
        files={config: written.started_detector(road, weights, whole)},
        depends="\n".join(depends),
        after=(),
    )


def checkpoint_file(source: str) -> Path | None:
    """The file that weights are loaded from: itself, or a work dir's latest; None for what is downloaded."""
    if Path(source).is_dir():
        latest = find_latest_checkpoint(source)
        return Path(latest) if latest else None
    return Path(source) if Path(source).is_file() else None


def trains_detector(config: str) -> bool:
    """Whether an image-domain method trains neck and head, too."""
    from aligndet.common.configs import read_config

    return bool(read_config(config).model.type == "aligndet.InsLoc")


def box_domain(road: Road) -> Stage:
    """Pre-training of neck and heads: of the detector by the recipe, or by the user's own config."""
    folder, boxes, start = road.path("2_box_domain"), proposal_file(road), start_config(road)
    run, options, trained = folder / "run", road.options.get("box", ()), start != road.detector
    if road.box_config:
        config = folder / "pretrain.py"
        files = {config: written.box_domain(road, road.box_config, start if trained else None, boxes)}
        command = road.train_tool(config, run, options)
    else:
        data = ("--aligndet", boxes, "--images", road.images)
        files, command = {}, road.train_tool(Path(start) if trained else start, run, options, *data)
    before = [*([] if road.proposals else ["0_proposals"]), *(["1_image_domain"] if trained else [])]
    return Stage(
        "2_box_domain",
        "box domain: AlignDet pre-trains neck and heads on the proposals",
        (command,),
        (run / "last_checkpoint",),
        mend=SEE_LOG,
        number=lambda: numbers.box_domain(run),
        depends=_box_inputs(road),
        after=tuple(before),
        files=files,
    )


def _box_inputs(road: Road) -> str:
    """What decides the result besides the stages before and the text of the config."""
    configs = [road.detector, *([road.box_config] if road.box_config else [])]
    known = [config_content(name, road.root) for name in configs]
    if road.proposals:
        known.append(stamps([road.proposals])[str(road.proposals)]["hash"])
    return "\n".join([*known, images_content(road.images)])


def export(road: Road) -> Stage:
    """A plain mmdet checkpoint."""
    folder, out = road.path("3_export"), road.path("3_export", "detector.pth")
    return Stage(
        "3_export",
        "export: a plain mmdet checkpoint",
        (road.tool("export_detector", road.path("2_box_domain", "run"), out),),
        (out,),
        mend=f"delete {road.word(road.path('2_box_domain'))} and give the command again",
        number=lambda: numbers.export(folder / "log.txt"),
        after=("2_box_domain",),
    )


def finetune(road: Road) -> Stage:
    """The user's own fine-tuning, from the exported detector."""
    folder, weights = road.path("4_finetune"), road.path("3_export", "detector.pth")
    run, config = folder / "run", folder / "finetune.py"
    text = (written.labelled_finetune if road.train else written.finetune)(road, weights)
    labels = [content_hash(path) for path in (road.train, road.val) if path]
    return Stage(
        "4_finetune",
        "fine-tune: from the pre-trained detector",
        (road.train_tool(config, run, road.options.get("finetune", ())),),
        (run / "last_checkpoint",),
        mend=SEE_LOG,
        number=lambda: numbers.finetune(run),
        files={config: text},
        depends="\n".join([config_content(road.detector, road.root), *labels]),
        after=("3_export",),
    )
