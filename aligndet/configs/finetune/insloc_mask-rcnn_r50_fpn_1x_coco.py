# Fine-tune Mask R-CNN R50-FPN for 90,000 iterations of COCO from InsLoc: backbone, FPN, 4 convolutions and fc.
#   aligndet export work_dirs/insloc_r50_fpn_200e_imagenet work_dirs/insloc_r50_fpn_200e_imagenet/detector.pth --config aligndet::finetune/insloc_mask-rcnn_r50_fpn_1x_coco.py
#   tools/dist_train.sh aligndet::finetune/insloc_mask-rcnn_r50_fpn_1x_coco.py 8
# The published fine-tuning has one more norm, after the first fc; a stock head has none there.
_base_ = [
    "mmdet::_base_/models/mask-rcnn_r50_fpn.py",
    "../_base_/coco_instance_multiscale.py",
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
