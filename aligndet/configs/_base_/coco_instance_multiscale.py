# COCO boxes and masks, the short side from 640 to 800 px, drawn without end.
_base_ = "mmdet::_base_/datasets/coco_instance.py"

pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True, with_mask=True),
    dict(
        type="RandomChoiceResize",
        scales=[(1333, 640), (1333, 672), (1333, 704), (1333, 736), (1333, 768), (1333, 800)],
        keep_ratio=True,
    ),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackDetInputs"),
]
train_dataloader = dict(sampler=dict(type="InfiniteSampler", shuffle=True), dataset=dict(pipeline=pipeline))
