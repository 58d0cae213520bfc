# Fine-tune Mask R-CNN R50-C4 for 180,000 iterations of COCO from InsLoc.
#   tools/dist_train.sh aligndet::finetune/insloc_mask-rcnn_r50_c4_2x_coco.py 8
_base_ = "insloc_mask-rcnn_r50_c4_1x_coco.py"

iterations = 180000
train_cfg = dict(max_iters=iterations)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=1000),
    dict(type="MultiStepLR", begin=0, end=iterations, by_epoch=False, milestones=[120000, 160000], gamma=0.1),
]
