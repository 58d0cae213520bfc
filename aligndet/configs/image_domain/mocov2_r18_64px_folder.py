# MoCo v2, ResNet-18 of half the usual width, 64 px crops, on a folder of images. CPU-sized.
#
# aligndet train aligndet::image_domain/mocov2_r18_64px_folder.py --cfg-options train_dataloader.dataset.data_root=IMAGES
# aligndet backbone convert work_dirs/mocov2_r18_64px_folder backbone.pth --config aligndet::finetune/insloc_faster-rcnn_r18_fpn_192px.py
#
# Batch, keys, rate, epochs and key network are those of insloc_r18_fpn_64px_folder.py, for comparison.
_base_ = "mocov2_r18_folder.py"

batch_size = 32
epochs = 60
view_pipeline = [
    dict(type="RandomResizedCrop", scale=64, crop_ratio_range=(0.2, 1.0), backend="pillow"),
    *_base_.view_pipeline[1:],
]
model = dict(
    backbone=dict(stem_channels=32, base_channels=32),
    neck=dict(in_channels=256, hid_channels=256),
    queue_len=512,
    momentum=0.01,
)
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=1,
    dataset=dict(
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="MultiView", num_views=2, transforms=[view_pipeline]),
            dict(type="PackInputs"),
        ]
    ),
)
optim_wrapper = dict(optimizer=dict(lr=0.03), clip_grad=dict(max_norm=1.0))
train_cfg = dict(max_epochs=epochs)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(type="CosineAnnealingLR", by_epoch=True, begin=0, end=epochs, T_max=epochs),
]
