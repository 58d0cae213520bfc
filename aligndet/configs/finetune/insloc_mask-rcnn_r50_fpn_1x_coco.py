# Fine-tune Mask R-CNN R50-FPN for 90,000 iterations of COCO from InsLoc: backbone, FPN, 4 convolutions and fc.
#   aligndet export work_dirs/insloc_r50_fpn_200e_imagenet work_dirs/insloc_r50_fpn_200e_imagenet/detector.pth --config aligndet::finetune/insloc_mask-rcnn_r50_fpn_1x_coco.py
#   tools/dist_train.sh aligndet::finetune/insloc_mask-rcnn_r50_fpn_1x_coco.py 8
# The published fine-tuning has one more norm, after the first fc; a stock head has none there.
_base_ = [
    "mmdet::_base_/models/mask-rcnn_r50_fpn.py",
    "mmdet::_base_/datasets/coco_instance.py",
    "../_base_/finetune_90k.py",
]

load_from = "work_dirs/insloc_r50_fpn_200e_imagenet/detector.pth"
norm_cfg = dict(type="BN", requires_grad=True)
model = dict(
    backbone=dict(frozen_stages=-1, norm_eval=False, norm_cfg=norm_cfg, init_cfg=None),
    neck=dict(norm_cfg=norm_cfg),
    roi_head=dict(
        bbox_head=dict(type="Shared4Conv1FCBBoxHead", conv_out_channels=256, norm_cfg=norm_cfg),
        mask_head=dict(norm_cfg=norm_cfg),
    ),
)
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
