"""The whole job: a folder of images and a detector become a pre-trained detector, with evidence and a report.

Read in this order: :mod:`question` (what is asked), :mod:`plan` (the list of stages), :mod:`stage` (what a
stage is), :mod:`process` (a stage in a process of its own), :mod:`run_file` (what is kept of a run),
:mod:`runner` (all of it), :mod:`report` (the page that people open). Each module of :mod:`stages` is a stage.
"""
