"""Methods of stage 1 that train more of a detector than its backbone: see :mod:`.contract`."""
