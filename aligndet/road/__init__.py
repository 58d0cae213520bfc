"""Long work in stages that are done once: each is some commands, its inputs' hash is kept beside its outputs.

``state`` says what stands in a folder and whether it still does, ``inputs`` hashes configs and images,
``stage`` carries stages out. ``plan``, ``written``, ``stages`` and ``walk`` are the road itself: a folder of
images and a detector become proposals, a backbone, a pre-trained and a fine-tuned detector
(`tools/run_road.py`). The demo (``aligndet.demo``) walks a road of its own with the same machinery.
"""
