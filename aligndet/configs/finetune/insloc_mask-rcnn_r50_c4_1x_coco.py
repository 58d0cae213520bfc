# Fine-tune Mask R-CNN R50-C4 for 90,000 iterations of COCO from InsLoc: backbone and last stage.
#   aligndet export work_dirs/insloc_r50_c4_200e_imagenet work_dirs/insloc_r50_c4_200e_imagenet/detector.pth --config aligndet::finetune/insloc_mask-rcnn_r50_c4_1x_coco.py
#   tools/dist_train.sh aligndet::finetune/insloc_mask-rcnn_r50_c4_1x_coco.py 8
# mmdet's C4 detectors are for Caffe weights; stage, stride and normalisation are changed to those of InsLoc.
_base_ = [
    "mmdet::_base_/models/mask-rcnn_r50-caffe-c4.py",
    "mmdet::_base_/datasets/coco_instance.py",
    "../_base_/finetune_90k.py",
]

load_from = "work_dirs/insloc_r50_c4_200e_imagenet/detector.pth"
norm_cfg = dict(type="BN", requires_grad=True)
model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True),
    backbone=dict(style="pytorch", frozen_stages=-1, norm_eval=False, norm_cfg=norm_cfg, init_cfg=None),
    roi_head=dict(shared_head=dict(style="pytorch", norm_cfg=norm_cfg, norm_eval=False)),
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
