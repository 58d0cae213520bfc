"""Markdown tables that also read in a terminal."""

from aligndet.common.tables import markdown_table


def test_columns_are_padded() -> None:
    assert markdown_table(["a", "bb"], [["ccc", "d"]]).splitlines() == [
        "| a   | bb |",
        "|-----|----|",
        "| ccc | d  |",
    ]


def test_a_cell_is_text_whatever_it_holds() -> None:
    *_, row = markdown_table(["a", "b"], [["x|y\nz", "[red]+1 [0, 2]"]]).splitlines()
    assert row == r"| x\|y z | [red]+1 [0, 2] |"


def test_no_row_is_too_long() -> None:
    *_, row = markdown_table(["a"], [["x" * 5000]]).splitlines()
    assert row == f"| {'x' * 5000} |"
