"""What classes can be given: their own arguments, and those that they hand on."""

from inspect import Parameter

from aligndet.common.signatures import arguments_of, required


def test_arguments_are_those_of_the_bases_too() -> None:
    class Base:
        def __init__(self, left: int) -> None: ...

    class Child(Base):
        def __init__(self, right: int, **options: int) -> None: ...

    class Open:
        def __init__(self, right: int, **options: int) -> None: ...

    for kind, names, any_other in ((Child, ["right", "left"], False), (Open, ["right"], True)):
        arguments, more = arguments_of(kind)
        assert (list(arguments), more) == (names, any_other)
        assert arguments["right"].default is Parameter.empty


def test_arguments_without_a_default_are_required() -> None:
    class Loss:
        def forward(self, scores: int, weight: int = 1, *more: int, target: int, **others: int) -> None: ...

    assert required(Loss.forward) == {"scores", "target"}
