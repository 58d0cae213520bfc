"""Did pre-training help? Fine-tunes one detector from several starts under equal conditions and compares.

Read in this order: :mod:`settings` (what is asked), :mod:`plan` (which runs answer it), :mod:`runs` and
:mod:`run_one` (how a run is made and done), :mod:`execute` (several at a time, reused and resumed),
:mod:`statistics` (what may be concluded), :mod:`report` (table, verdicts, plot), :mod:`compare` (all of it).
"""
