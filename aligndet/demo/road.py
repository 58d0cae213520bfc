"""The main job from end to end, small: images -> proposals -> backbone -> detector -> export -> comparison.

Every stage is one or two of the commands in `tools/`, as a person would give them; the road only orders them,
sizes them for two CPU cores and collects their numbers.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from . import numbers
from .own_images import copy_images, fingerprint
from .stage import Done, Say, Stage, Walker, clock, shown

LEAST_IMAGES = (
    16  # fewer make no sense: a batch of the box domain has 8, and each needs others to differ from
)


@dataclass(frozen=True)
class Plan:
    """What the demo is asked to do.

    Attributes:
        work: folder of everything it makes. root: of the repository.
        images: folder of the user's images; None generates a labelled set.
        train, val: the user's labels (COCO json over ``images``), for the comparison; both or none.
        max_images: of the user's, spread evenly over the folder's order.
        image_steps, box_steps, finetune_steps: training iterations; None keeps the configs'.
        seeds: paired seeds of the comparison. lrs: learning rates tried for both starts.
        cores: CPU cores to use.
    """

    work: Path
    root: Path
    images: Path | None = None
    train: Path | None = None
    val: Path | None = None
    max_images: int = 300
    image_steps: int | None = None
    box_steps: int | None = None
    finetune_steps: int = 150
    seeds: int = 3
    lrs: tuple[str, ...] = ("0.02", "0.01")
    cores: int = 2

    def path(self, *parts: str) -> Path:
        """A file of the demo."""
        return self.work.joinpath(*parts)

    @property
    def unlabelled(self) -> Path:
        """Folder of the images that pre-training sees."""
        return self.path("0_images", "images", "unlabelled")

    @property
    def labels(self) -> tuple[Path, Path, Path] | None:
        """Training labels, validation labels, image folder; None where there are none."""
        if self.images is None:
            made = self.path("0_images", "annotations")
            return made / "train.json", made / "val.json", self.path("0_images", "images")
        return (self.train, self.val, self.images) if self.train and self.val else None

    def word(self, path: Path) -> str:
        """A path as commands show it: relative to the repository where it lies in there."""
        full = path.resolve()
        return str(full.relative_to(self.root)) if full.is_relative_to(self.root) else str(full)

    def tool(self, name: str, *words: object) -> tuple[str, ...]:
        """The command of a tool."""
        texts = (self.word(word) if isinstance(word, Path) else str(word) for word in words)
        return (sys.executable, f"tools/{name}.py", *texts)


def check(plan: Plan) -> None:
    """Find what is wrong with the question before any work.

    Raises:
        ValueError, FileNotFoundError: names the option and what was expected.
    """
    if (plan.train is None) != (plan.val is None) or (plan.train and plan.images is None):
        raise ValueError("--train and --val go together, and with --images: COCO json files over that folder")
    if plan.images is not None and not plan.images.is_dir():
        raise FileNotFoundError(f"--images {plan.images}: there is no such folder")
    for option, path in (("--train", plan.train), ("--val", plan.val)):
        if path is not None and not path.is_file():
            raise FileNotFoundError(f"{option} {path}: there is no such file")
    if plan.max_images < LEAST_IMAGES:
        raise ValueError(f"--max-images {plan.max_images}: at least {LEAST_IMAGES}")
    for name in ("image_steps", "box_steps", "finetune_steps", "seeds"):
        value = getattr(plan, name)
        if value is not None and value < 1:
            raise ValueError(f"--{name.replace('_', '-')} {value}: at least 1")


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
    search = ("--backend", "selectivesearch", "--min-side", 16, "--max-side", 320, "--workers", plan.cores)
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
        mend="pip install selectivesearch where it is missing (make setup does); else see the log",
        number=lambda: numbers.proposals(out, folder / "log.txt"),
    )


def image_domain(plan: Plan) -> Stage:
    """Self-supervised backbone, then converted for the detector."""
    folder, out = plan.path("2_image_domain"), plan.path("2_image_domain", "backbone.pth")
    options = [f"train_dataloader.dataset.data_root={plan.word(plan.unlabelled)}", *loader(plan)]
    if plan.image_steps:
        ends = [f"param_scheduler.0.{key}={plan.image_steps}" for key in ("T_max", "end")]
        options += [f"train_cfg.max_iters={plan.image_steps}", *ends]
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
        options += [f"train_cfg.max_iters={steps}", f"param_scheduler.0.end={warm}"]
        options += [f"param_scheduler.1.{k}={v}" for k, v in (("begin", warm), ("end", steps))]
        options.append(f"param_scheduler.1.T_max={max(1, steps - warm)}")
    retrieval = (sys.executable, "-m", "aligndet.demo.retrieval", config, plan.word(run), plan.word(measured))
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
    sizes = ("--iters", plan.finetune_steps, "--lr", *plan.lrs, "--seeds", plan.seeds)
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


def walk(plan: Plan, say: Say = print, interval: float = 15.0) -> list[Done]:
    """Carry out a plan.

    Raises:
        ValueError, FileNotFoundError: the question is wrong.
        StageError: a stage failed.
    """
    check(plan)
    walker = Walker(plan.work, plan.root, min(8, plan.cores), say, interval)
    for stage in stages(plan):
        walker.carry_out(stage)
    say("\n" + summary(plan, walker.done))
    return walker.done


def summary(plan: Plan, done: list[Done]) -> str:
    """The closing table, where the files are, and what to do next."""
    rows = [("stage", "result", "time")]
    for entry in done:
        first, *more = entry.number.split("; ")
        rows.append((entry.stage.name, first, clock(entry.seconds) + (" (before)" if entry.reused else "")))
        rows += [("", part, "") for part in more]
    rows.append(("all", "", clock(sum(d.seconds for d in done))))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join([*lines, "", *files(plan), "", *following(plan)])


def files(plan: Plan) -> list[str]:
    """Where things are."""
    known = {
        "proposals": ("1_proposals", "proposals.json"),
        "pictures": ("1_proposals", "proposals.png"),
        "": ("3_box_domain", "views.png"),
        " ": ("3_box_domain", "losses.png"),
        "detector": ("4_export", "detector.pth"),
    }
    lines = [f"{name.strip():10} {plan.word(plan.path(*parts))}" for name, parts in known.items()]
    if plan.labels:
        lines.append(f"{'comparison':10} {plan.word(plan.path('5_compare', 'results.md'))}, plot.png")
    return lines


def following(plan: Plan) -> list[str]:
    """Next commands."""
    if plan.labels is None:
        return [
            "Fine-tune on your labels (COCO json over the same folder), against a random start:",
            f"  {shown(prove_command(plan, *labels_of(plan)))}",
            f'or: make demo IMAGES="{plan.images}" ARGS="--train TRAIN.json --val VAL.json"',
        ]
    detector = plan.word(plan.path("4_export", "detector.pth"))
    lines = [] if plan.images else ["The same on your images:   make demo IMAGES=folder"]
    return [
        *lines,
        "Full size, with your detector: configs/box_domain/ (each file opens with its commands)",
        f"In an mmdet config of this detector: load_from = '{detector}'",
    ]


def available_cores() -> int:
    """CPU cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
