# Fine-tune Mask R-CNN R50-FPN for 180,000 iterations of COCO from InsLoc.
#   tools/dist_train.sh aligndet::finetune/insloc_mask-rcnn_r50_fpn_2x_coco.py 8
_base_ = ["insloc_mask-rcnn_r50_fpn_1x_coco.py", "../_base_/schedule_180k.py"]

train_cfg = dict(max_iters=180000)
param_scheduler = _base_.schedule_180k
