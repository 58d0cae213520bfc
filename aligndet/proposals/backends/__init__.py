"""Where raw boxes come from, behind one small seam.

A backend is a callable `image (H, W, 3) uint8 BGR -> (boxes (N, 4) float32 xyxy, scores (N,) or None)`.
It is made by a factory whose keyword arguments, all with defaults, are its options. A new one is added by
:func:`register`, or used unregistered by the name "module:factory" (which worker processes can import too).
"""

from .registry import Backend, backend_names, make_backend, parse_options, register

__all__ = ["Backend", "backend_names", "make_backend", "parse_options", "register"]
