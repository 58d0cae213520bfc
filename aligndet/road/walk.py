"""The road from end to end: a folder of images and a detector in, a pre-trained detector out."""

from __future__ import annotations

from aligndet.road.plan import Road, check
from aligndet.road.progress import clock, shown
from aligndet.road.stage import Done, Say, Walker
from aligndet.road.stages import stages


def walk(road: Road, say: Say = print, interval: float = 60.0) -> list[Done]:
    """Carry out a road; stages that are done and still valid are passed over.

    Raises:
        ValueError, FileNotFoundError: the question is wrong.
        StageError: a stage failed.
    """
    check(road)
    threads = min(8, max(1, road.cores // max(1, road.gpus)))
    walker = Walker(road.work, road.root, threads, say, interval, keep=True)
    for stage in stages(road):
        walker.carry_out(stage)
    say("\n" + "\n".join([table(walker.done), "", *following(road)]))
    return walker.done


def table(done: list[Done]) -> str:
    """One stage a line: result and time."""
    rows = [("stage", "result", "time")]
    for entry in done:
        first, *more = entry.number.split("; ")
        rows.append((entry.stage.name, first, clock(entry.seconds) + (" (before)" if entry.reused else "")))
        rows += [("", part, "") for part in more]
    rows.append(("all", "", clock(sum(d.seconds for d in done))))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def following(road: Road) -> list[str]:
    """Where the detector is, and what to do with it."""
    detector = road.path("3_export", "detector.pth")
    lines = [f"pre-trained detector: {road.word(detector)}   (load_from of {road.detector})"]
    if road.train and road.val:
        data = ("--train", road.train, "--val", road.val, "--images", road.labelled or road.images)
        starts = ("--start", "random=", "--start", f"aligndet={road.word(detector)}")
        lines += ["Did it help?", f"  {shown(road.tool('prove', road.detector, *starts, *data))}"]
    elif not road.finetune:
        lines.append("Fine-tune it: the same command with --finetune, or with --train and --val")
    return lines
