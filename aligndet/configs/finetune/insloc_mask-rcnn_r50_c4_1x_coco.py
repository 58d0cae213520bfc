# Fine-tune Mask R-CNN R50-C4 for 90,000 iterations of COCO from InsLoc: backbone and last stage.
#   aligndet export work_dirs/insloc_r50_c4_200e_imagenet work_dirs/insloc_r50_c4_200e_imagenet/detector.pth --config aligndet::finetune/insloc_mask-rcnn_r50_c4_1x_coco.py
#   tools/dist_train.sh aligndet::finetune/insloc_mask-rcnn_r50_c4_1x_coco.py 8
# mmdet's C4 detectors are for Caffe weights; stage, stride and normalisation are changed to those of InsLoc.
_base_ = [
    "mmdet::_base_/models/mask-rcnn_r50-caffe-c4.py",
    "../_base_/coco_instance_multiscale.py",
    "../_base_/finetune_90k.py",
]

load_from = "work_dirs/insloc_r50_c4_200e_imagenet/detector.pth"
norm_cfg = dict(type="BN", requires_grad=True)
model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True),
    backbone=dict(style="pytorch", frozen_stages=-1, norm_eval=False, norm_cfg=norm_cfg, init_cfg=None),
    roi_head=dict(shared_head=dict(style="pytorch", norm_cfg=norm_cfg, norm_eval=False)),
)
