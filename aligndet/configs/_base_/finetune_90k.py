# Schedule of InsLoc's fine-tuning on COCO ("1x"): 90,000 iterations of 8 x 2 images, batch norm trained and
# synchronised over the GPUs, its statistics recomputed exactly (200 x 16 images) before every evaluation.
_base_ = "mmdet::_base_/default_runtime.py"

iterations, evaluate_every = 90000, 30000
train_cfg = dict(type="IterBasedTrainLoop", max_iters=iterations, val_interval=evaluate_every)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
optim_wrapper = dict(
    type="OptimWrapper", optimizer=dict(type="SGD", lr=0.02, momentum=0.9, weight_decay=0.0001)
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=1000),
    dict(type="MultiStepLR", begin=0, end=iterations, by_epoch=False, milestones=[60000, 80000], gamma=0.1),
]
auto_scale_lr = dict(enable=False, base_batch_size=16)
sync_bn = "torch"
custom_hooks = [dict(type="mmpretrain.PreciseBNHook", num_samples=3200, interval=evaluate_every)]
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=evaluate_every), logger=dict(interval=50))
log_processor = dict(by_epoch=False)
