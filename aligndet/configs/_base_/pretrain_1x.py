# Schedule of box-domain pre-training: 12 epochs, SGD for 8 x 2 images, momentum network from 0.996 to 1.
_base_ = "mmdet::_base_/default_runtime.py"

train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=12)
optim_wrapper = dict(
    type="OptimWrapper", optimizer=dict(type="SGD", lr=0.01, momentum=0.9, weight_decay=0.0001)
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type="MultiStepLR", begin=0, end=12, by_epoch=True, milestones=[8, 11], gamma=0.1),
]
auto_scale_lr = dict(enable=False, base_batch_size=16)
custom_hooks = [dict(type="aligndet.MomentumHook", base=0.996)]
default_hooks = dict(checkpoint=dict(max_keep_ckpts=2))
