# Box-domain pre-training after InsLoc: Mask R-CNN R50-FPN whose backbone, FPN and RoI head InsLoc trained. The
# backbone is frozen; FPN and heads continue. COCO train2017 without labels, 12 epochs.
#   aligndet proposals make data/coco/train2017 data/coco/proposals/train2017
#   aligndet export work_dirs/insloc_r50_fpn_200e_imagenet work_dirs/insloc_r50_fpn_200e_imagenet/detector.pth --config aligndet::finetune/insloc_mask-rcnn_r50_fpn_1x_coco.py
#   tools/dist_train.sh aligndet::box_domain/insloc_mask-rcnn_r50_fpn_1x_coco.py 8
# Afterwards, as after any box-domain pre-training: aligndet export, and load_from in the fine-tuning config.
_base_ = "../_base_/recipe_cnn_two_stage.py"

model = dict(
    type="aligndet.BoxDomainPretrainer",
    detector="{{ fileDirname }}/../_base_/insloc_mask-rcnn_r50_fpn.py",
)
sync_bn = "torch"
