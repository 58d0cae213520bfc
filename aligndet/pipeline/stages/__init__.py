"""The stages of the pipeline, one module each: ``plan`` (whether), ``check`` (before any work), ``run``."""
