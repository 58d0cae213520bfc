"""Settings of all tests: the operator stand-in is in place before any test module imports mmcv."""

import aligndet  # noqa: F401
