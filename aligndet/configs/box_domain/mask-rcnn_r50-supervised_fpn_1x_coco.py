# Grid, supervised classification -> box domain -> fine-tune: Mask R-CNN R50 on this backbone. Only the checkpoint differs.
#   tools/dist_train.sh aligndet::image_domain/supervised_r50.py 8
#   aligndet backbone convert work_dirs/supervised_r50 work_dirs/supervised_r50.pth --config aligndet::finetune/mask-rcnn_r50-supervised_fpn_1x_coco.py
#   tools/dist_train.sh aligndet::box_domain/mask-rcnn_r50-supervised_fpn_1x_coco.py 8
_base_ = "mask-rcnn_r50_fpn_1x_coco.py"

model = dict(detector="{{ fileDirname }}/../finetune/mask-rcnn_r50-supervised_fpn_1x_coco.py")
