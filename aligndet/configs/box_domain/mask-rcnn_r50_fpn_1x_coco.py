# Box-domain pre-training of Mask R-CNN R50 (its mask branch is left out), COCO train2017 without labels, 12 epochs.
#   aligndet proposals make data/coco/train2017 data/coco/proposals/train2017
#   tools/dist_train.sh aligndet::box_domain/mask-rcnn_r50_fpn_1x_coco.py 8
_base_ = "../_base_/recipe_cnn_two_stage.py"

model = dict(type="aligndet.BoxDomainPretrainer", detector="mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py")
