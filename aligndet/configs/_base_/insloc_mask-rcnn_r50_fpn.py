# The fine-tuning Mask R-CNN, started from InsLoc's weights: the detector of a box-domain pre-training.
_base_ = "../finetune/insloc_mask-rcnn_r50_fpn_1x_coco.py"

model = dict(
    init_cfg=dict(type="Pretrained", checkpoint="work_dirs/insloc_r50_fpn_200e_imagenet/detector.pth")
)
