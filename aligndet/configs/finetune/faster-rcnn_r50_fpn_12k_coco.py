# Fine-tune Faster R-CNN R50 for 12,000 iterations of 16 images. Label fractions: aligndet labels split, then
#   tools/dist_train.sh aligndet::finetune/faster-rcnn_r50_fpn_12k_coco.py 8 --cfg-options \
#       train_dataloader.dataset.ann_file=annotations/semi_supervised/instances_train2017.1@10.json
_base_ = "faster-rcnn_r50_fpn_1x_coco.py"

train_cfg = dict(_delete_=True, type="IterBasedTrainLoop", max_iters=12000, val_interval=12000)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type="MultiStepLR", begin=0, end=12000, by_epoch=False, milestones=[9000, 11000], gamma=0.1),
]
train_dataloader = dict(sampler=dict(type="InfiniteSampler", shuffle=True))
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=12000), logger=dict(interval=50))
log_processor = dict(by_epoch=False)
