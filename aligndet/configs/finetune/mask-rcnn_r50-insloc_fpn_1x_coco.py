# Grid, InsLoc -> box domain -> fine-tune: the last step. InsLoc brought FPN and RoI head too, the box domain went on with them.
#   aligndet export work_dirs/insloc_mask-rcnn_r50_fpn_1x_coco/epoch_12.pth work_dirs/insloc_mask-rcnn_r50_fpn_1x_coco/detector.pth
#   tools/dist_train.sh aligndet::finetune/mask-rcnn_r50-insloc_fpn_1x_coco.py 8
# Without the box domain, for comparison: aligndet::finetune/insloc_mask-rcnn_r50_fpn_1x_coco.py
_base_ = "insloc_mask-rcnn_r50_fpn_1x_coco.py"

load_from = "work_dirs/insloc_mask-rcnn_r50_fpn_1x_coco/detector.pth"
