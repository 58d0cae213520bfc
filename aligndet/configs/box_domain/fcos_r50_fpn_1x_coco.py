# Box-domain pre-training of FCOS R50, COCO train2017 without labels, 12 epochs.
#   aligndet proposals make data/coco/train2017 data/coco/proposals/train2017
#   tools/dist_train.sh aligndet::box_domain/fcos_r50_fpn_1x_coco.py 8
_base_ = "../_base_/recipe_cnn.py"

model = dict(
    type="aligndet.BoxDomainPretrainer", detector="mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py"
)
