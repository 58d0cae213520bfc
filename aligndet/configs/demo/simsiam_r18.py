# Stage 1 of the demo: SimSiam, a ResNet-18 half as wide, 96 px, 150 steps: a minute or two on a CPU.
#
# aligndet train aligndet::demo/simsiam_r18.py --cfg-options train_dataloader.dataset.data_root=IMAGES
# aligndet backbone convert work_dirs/simsiam_r18 work_dirs/demo/backbone.pth --config aligndet::demo/retinanet_r18.py
#
# Counted in steps, not in epochs, so that it takes as long on ten images as on a thousand.
_base_ = "../image_domain/simsiam_r18_folder.py"

batch_size = 32
steps = 150
lr = 0.05

view_pipeline = [
    dict(type="RandomResizedCrop", scale=96, crop_ratio_range=(0.2, 1.0)),
    dict(
        type="RandomApply",
        transforms=[dict(type="ColorJitter", brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)],
        prob=0.8,
    ),
    dict(type="RandomGrayscale", prob=0.2, keep_channels=True, channel_weights=(0.114, 0.587, 0.2989)),
    dict(type="RandomFlip", prob=0.5),
]
model = dict(
    backbone=dict(stem_channels=32, base_channels=32),
    neck=dict(in_channels=256, hid_channels=512, out_channels=512),
    head=dict(predictor=dict(in_channels=512, hid_channels=128, out_channels=512)),
)
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=1,
    drop_last=False,  # the sampler never ends, so no batch is short
    sampler=dict(type="InfiniteSampler", shuffle=True),
    dataset=dict(
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="MultiView", num_views=2, transforms=[view_pipeline]),
            dict(type="PackInputs"),
        ]
    ),
)
optim_wrapper = dict(optimizer=dict(lr=lr))
train_cfg = dict(_delete_=True, type="IterBasedTrainLoop", max_iters=steps)
param_scheduler = [dict(type="CosineAnnealingLR", T_max=steps, by_epoch=False, begin=0, end=steps)]
custom_hooks = [dict(type="SimSiamHook", priority="HIGH", fix_pred_lr=True, lr=lr, adjust_by_epoch=False)]
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=50, max_keep_ckpts=1), logger=dict(interval=10))
log_processor = dict(by_epoch=False, window_size=10)
