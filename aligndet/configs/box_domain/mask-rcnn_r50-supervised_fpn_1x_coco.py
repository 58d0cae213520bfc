# Grid, supervised classification -> box domain -> fine-tune: Mask R-CNN R50 on this backbone. Only the checkpoint differs.
#   tools/dist_train.sh configs/image_domain/supervised_r50.py 8
#   python tools/convert_backbone.py work_dirs/supervised_r50 work_dirs/supervised_r50.pth --detector configs/finetune/mask-rcnn_r50-supervised_fpn_1x_coco.py
#   tools/dist_train.sh configs/box_domain/mask-rcnn_r50-supervised_fpn_1x_coco.py 8
_base_ = "mask-rcnn_r50_fpn_1x_coco.py"

model = dict(detector="{{ fileDirname }}/../finetune/mask-rcnn_r50-supervised_fpn_1x_coco.py")
