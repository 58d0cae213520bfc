# Fine-tune FCOS R50 for 12,000 iterations of 16 images. Label fractions: aligndet labels split, then
#   tools/dist_train.sh aligndet::finetune/fcos_r50_fpn_12k_coco.py 8 --cfg-options \
#       train_dataloader.dataset.ann_file=annotations/semi_supervised/instances_train2017.1@10.json
_base_ = ["fcos_r50_fpn_1x_coco.py", "../_base_/schedule_12k.py"]

train_cfg, param_scheduler = _base_.loop_12k, _base_.schedule_12k
train_dataloader = dict(sampler=dict(type="InfiniteSampler", shuffle=True))
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=12000), logger=dict(interval=50))
log_processor = dict(by_epoch=False)
