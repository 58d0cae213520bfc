"""What a run says about its purpose, in sentences: did it help, or what is still unknown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aligndet.pipeline.run_file import DONE, FAILED, INTERRUPTED


def verdict(data: Mapping[str, Any], results: Mapping[str, Any]) -> dict[str, Any]:
    """Title and sentences.

    Args:
        data: content of ``run.json``. results: of its stages by name.
    """
    stages = data["stages"]
    broken = [name for name, entry in stages.items() if entry["state"] in (FAILED, INTERRUPTED)]
    if data["state"] != DONE:
        where = f" in stage {broken[0]}" if broken else ""
        told = [entry["error"] for entry in stages.values() if entry.get("error")]
        goes_on = "The same command goes on where this one stopped."
        return {"title": f"The run {_ended(data['state'])}{where}", "lines": [*told, goes_on]}
    if comparison := results.get("compare"):
        return {"title": "Did it help?", "lines": _compared(comparison)}
    return {
        "title": "The detector is pre-trained. Whether it helps is still unknown",
        "lines": _unknown(results),
    }


def _ended(state: str) -> str:
    return {FAILED: "failed", INTERRUPTED: "was interrupted"}.get(state, f"is {state}")


def _compared(comparison: Mapping[str, Any]) -> list[str]:
    """A sentence for each label fraction."""
    sentences, baseline = [], comparison["baseline"]
    for arm in comparison["arms"]:
        gain = arm["difference"]
        if not gain:
            continue
        bounds = ""
        if gain["low"] is not None:
            bounds = f", 95 % interval {gain['low']:+.1f} to {gain['high']:+.1f}"
        over = f"{gain['mean']:+.1f} AP points over {baseline} ({_seeds(gain['n'])}{bounds})"
        where = f"With {arm['percent']:g} % of the labels: {gain['verdict']}"
        sentences.append(f"{where}. {arm['start']} is {over}.")
    return sentences or ["Every run of the comparison failed; see its logs."]


def _seeds(count: int) -> str:
    return f"{count} paired seeds" if count > 1 else "1 seed"


def _unknown(results: Mapping[str, Any]) -> list[str]:
    """What can be said without labels."""
    told = ["No labels were given, so nothing was compared: fine-tune and compare with --train and --val."]
    shares = (results.get("evidence") or {}).get("retrieval")
    if shares:
        told.append(
            f"A box finds itself in a mirrored view in {100 * shares['after']:.0f} % of cases, "
            f"{100 * shares['before']:.0f} % before the training."
        )
    return told
