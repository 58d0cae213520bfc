"""Where raw boxes come from, behind one small seam.

A backend is a callable `image (H, W, 3) uint8 BGR -> (boxes (N, 4) float32 xyxy, scores (N,) or None)`, with
the levels (N,) of its hierarchy as an optional third, pseudo-classes (N,) as a fourth and a note on the image
as a fifth. It raises :class:`MisfitError` where it has no boxes for an image. Attributes of the callable may
ask for more: `takes_name` (it is called with the image's file name too), `whole_size` (never with a shrunken
copy), `identity` (a text that changes when its results would change for another reason than its options) and
`check_names` (called with the names of all images before any is searched, to refuse what cannot be served).
It is made by a factory whose arguments are its options. A new one is added by
:func:`register`, or used unregistered by the name "module:factory" (which worker processes can import too).
"""

from aligndet.proposals.backends.registry import (
    Backend,
    MisfitError,
    Raw,
    backend_names,
    make_backend,
    parse_options,
    register,
    run_backend,
)

__all__ = [
    "Backend",
    "MisfitError",
    "Raw",
    "backend_names",
    "make_backend",
    "parse_options",
    "register",
    "run_backend",
]
