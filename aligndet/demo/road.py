"""The main job from end to end, small: images -> proposals -> backbone -> detector -> export -> comparison.

Every stage is one or two of the commands in `tools/`, as a person would give them; the road only orders them,
sizes them for two CPU cores and collects their numbers.
"""

from __future__ import annotations

from aligndet.demo.plan import Plan, check
from aligndet.demo.stages import labels_of, prove_command, stages
from aligndet.road.progress import shown
from aligndet.road.stage import Done, Say, Walker
from aligndet.road.walk import table


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
    return "\n".join([table(done), "", *files(plan), "", *following(plan)])


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
