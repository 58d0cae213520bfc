"""Exports of annotation tools, one module each; :mod:`.kinds` tells which it is."""
