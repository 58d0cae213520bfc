"""The stages of the demo: which commands each gives, and what it leaves behind."""

from __future__ import annotations

import sys
from pathlib import Path

from aligndet.demo import numbers
from aligndet.demo.own_images import copy_images, fingerprint
from aligndet.demo.plan import LEAST_IMAGES, Plan
from aligndet.road.stage import Stage


def stages(plan: Plan) -> list[Stage]:
    """The stages of a plan, in order."""
    found = [images(plan), proposals(plan), image_domain(plan), box_domain(plan), export(plan)]
    return [*found, compare(plan)] if plan.labels else found


def images(plan: Plan) -> Stage:
    """Generate the demo set, or copy the user's images small."""
    folder, own = plan.path("0_images"), plan.images
    title = "images: " + ("a generated, labelled set" if own is None else f"small copies of those in {own}")
    counts = ("--train", 60, "--val", 120, "--test", 20, "--unlabelled", 300, "--size", 224)
    commands = () if own else (plan.tool("make_demo_data", folder, *counts),)
    copies = None if own is None else lambda: copy_images(own, plan.unlabelled, plan.max_images, LEAST_IMAGES)
    return Stage(
        "0_images",
        title,
        commands,
        (plan.unlabelled,) if own else (plan.unlabelled, folder / "annotations" / "val.json"),
        mend=f"--images takes a folder with at least {LEAST_IMAGES} readable images (any nesting)"
        if own
        else "see the log; is the disk full?",
        number=lambda: numbers.images(plan.unlabelled, plan.labels),
        prepare=copies,
        depends=fingerprint(own, plan.max_images) if own else "",
    )


def proposals(plan: Plan) -> Stage:
    """Selective search; where there are labelled test images, its recall too."""
    out, folder = plan.path("1_proposals", "proposals.json"), plan.path("1_proposals")
    few = ("--min-side", 16, "--max-per-image", 30)  # the pictures are small and hold 3 to 9 objects
    search = ("--backend", "fast", *few, "--workers", plan.cores)
    commands = [plan.tool("make_proposals", plan.unlabelled, out, *search)]
    if plan.images is None:
        test = plan.path("0_images", "annotations", "test.json")
        test_out = folder / "test.json"
        commands.append(plan.tool("make_proposals", test, test_out, *search, "--recall-against", test))
    picture = folder / "proposals.png"
    commands.append(plan.tool("show_proposals", out, picture, "--images", plan.unlabelled))
    return Stage(
        "1_proposals",
        "proposals: selective search on the unlabelled images",
        tuple(commands),
        (out, picture),
        mend="pip install numba where it is missing (make setup does); else see the log",
        number=lambda: numbers.proposals(out, folder / "log.txt"),
    )


def log_often(steps: int) -> str:
    """Option that lets a short training log at least once: the numbers and curves are read from its log."""
    return f"default_hooks.logger.interval={min(10, steps)}"


def image_domain(plan: Plan) -> Stage:
    """Self-supervised backbone, then converted for the detector."""
    folder, out = plan.path("2_image_domain"), plan.path("2_image_domain", "backbone.pth")
    options = [f"train_dataloader.dataset.data_root={plan.word(plan.unlabelled)}", *loader(plan)]
    if plan.image_steps:
        ends = [f"param_scheduler.0.{key}={plan.image_steps}" for key in ("T_max", "end")]
        options += [f"train_cfg.max_iters={plan.image_steps}", log_often(plan.image_steps), *ends]
    run = folder / "run"
    config = "configs/demo/simsiam_r18.py"
    return Stage(
        "2_image_domain",
        "image domain: a ResNet-18 backbone by SimSiam, on the same unlabelled images",
        (
            plan.tool("train", config, "--work-dir", run, "--resume", "--cfg-options", *options),
            plan.tool("convert_backbone", run, out, "--detector", "configs/demo/retinanet_r18.py"),
        ),
        (out,),
        mend="see the log; python -m aligndet doctor examines the installation",
        number=lambda: numbers.image_domain(run, folder / "log.txt"),
    )


def box_domain(plan: Plan) -> Stage:
    """Pre-training of neck and heads, pictures of its views and losses, and the retrieval of boxes."""
    folder, config = plan.path("3_box_domain"), "configs/demo/alignment_r18.py"
    run, measured = folder / "run", folder / "retrieval.json"
    data = [
        f"train_dataloader.dataset.ann_file={plan.word(plan.path('1_proposals', 'proposals.json'))}",
        f"train_dataloader.dataset.data_prefix.img={plan.word(plan.unlabelled)}/",
    ]
    data.append(f"model.detector.backbone.init_cfg.checkpoint={backbone(plan)}")
    options = [*data, *loader(plan)]
    if steps := plan.box_steps:
        warm = min(25, steps // 2)
        options += [f"train_cfg.max_iters={steps}", log_often(steps), f"param_scheduler.0.end={warm}"]
        options += [f"param_scheduler.1.{k}={v}" for k, v in (("begin", warm), ("end", steps))]
        options.append(f"param_scheduler.1.T_max={max(1, steps - warm)}")
    retrieval = (
        sys.executable,
        "-m",
        "aligndet.evaluation.retrieval",
        config,
        plan.word(run),
        plan.word(measured),
        "--images",
        "16",
        "--mirrored",
    )
    pictures = folder / "views.png", folder / "losses.png"
    keys = ("--keys", "loss_contrast", "loss_bbox", "positives")
    return Stage(
        "3_box_domain",
        "box domain: AlignDet pre-trains neck and heads of a RetinaNet on the proposals",
        (
            plan.tool("train", config, "--work-dir", run, "--resume", "--cfg-options", *options),
            (*retrieval, "--cfg-options", *data),
            plan.tool("show_views", config, pictures[0], "--cfg-options", *data),
            plan.tool("plot_log", run, "--out", pictures[1], *keys),
        ),
        (measured, *pictures),
        mend="see the log; with 'no proposals' the images may be too small (proposals have sides >= 16 px)",
        number=lambda: numbers.box_domain(run, measured),
    )


def export(plan: Plan) -> Stage:
    """A plain mmdet checkpoint."""
    folder, out = plan.path("4_export"), plan.path("4_export", "detector.pth")
    last = Path("3_box_domain", "run", f"iter_{plan.box_steps or 200}.pth")
    return Stage(
        "4_export",
        "export: a plain mmdet checkpoint",
        (plan.tool("export_detector", plan.path(str(last)), out),),
        (out,),
        mend=f"delete {plan.word(plan.path('3_box_domain'))} and give the command again",
        number=lambda: numbers.export(folder / "log.txt"),
    )


def compare(plan: Plan) -> Stage:
    """Fine-tune from both starts and compare."""
    folder = plan.path("5_compare")
    return Stage(
        "5_compare",
        f"compare: fine-tune with few labels, from random and from AlignDet ({plan.seeds} seeds)",
        (prove_command(plan, *labels_of(plan)),),
        (folder / "results.json", folder / "results.md"),
        mend="a failed run's log.txt lies in its folder under runs/; are there boxes in both label files?",
        number=lambda: numbers.compare(folder / "results.json"),
    )


def labels_of(plan: Plan) -> tuple[str, str, str]:
    """The words for training labels, validation labels and images; placeholders where there are none."""
    if plan.labels:
        train, val, folder = plan.labels
        return plan.word(train), plan.word(val), plan.word(folder)
    return "YOUR_TRAIN.json", "YOUR_VAL.json", plan.word(plan.images) if plan.images else "IMAGES"


def prove_command(plan: Plan, train: str, val: str, folder: str) -> tuple[str, ...]:
    """The comparison, as a command."""
    starts = ("--start", "random=", "--start", f"aligndet={plan.word(plan.path('4_export', 'detector.pth'))}")
    data = ("--train", train, "--val", val, "--images", folder, "--percent", "100")
    sizes = (
        "--iters",
        plan.finetune_steps,
        "--batch",
        4,
        "--schedule",
        "cosine",
        "--lr",
        *plan.lrs,
        "--seeds",
        plan.seeds,
    )
    rest = ("--jobs", plan.cores, "--work-dir", plan.path("5_compare"))
    weights = ("--cfg-options", f"model.backbone.init_cfg.checkpoint={backbone(plan)}")
    return plan.tool("prove", "configs/demo/retinanet_r18.py", *starts, *data, *sizes, *rest, *weights)


def backbone(plan: Plan) -> str:
    """The converted backbone of stage 2, as a word."""
    return plan.word(plan.path("2_image_domain", "backbone.pth"))


def loader(plan: Plan) -> list[str]:
    """Loading processes, where there are cores for more than the config's one."""
    workers = min(4, plan.cores // 2)
    return [f"train_dataloader.num_workers={workers}"] if workers > 1 else []
