# Grid, MoCo v2 -> box domain -> fine-tune: the last step. Only the checkpoints differ from mask-rcnn_r50_fpn_1x_coco.py.
#   aligndet export work_dirs/mask-rcnn_r50-mocov2_fpn_1x_coco/epoch_12.pth work_dirs/mask-rcnn_r50-mocov2_fpn_1x_coco/detector.pth
#   tools/dist_train.sh aligndet::finetune/mask-rcnn_r50-mocov2_fpn_1x_coco.py 8
# Without the box domain, for comparison: --cfg-options load_from=None
_base_ = "mask-rcnn_r50_fpn_1x_coco.py"

model = dict(backbone=dict(init_cfg=dict(checkpoint="work_dirs/mocov2_r50.pth")))
load_from = "work_dirs/mask-rcnn_r50-mocov2_fpn_1x_coco/detector.pth"
