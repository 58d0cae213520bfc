"""x"""

from typing import Any


def write_report(run: Any, question: Any, stages: Any) -> None:
    """x"""
