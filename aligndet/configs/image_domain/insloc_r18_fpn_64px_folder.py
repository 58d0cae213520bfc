# InsLoc, ResNet-18 and FPN of half and a quarter of the usual width, 64 px composites, on a folder of images. CPU-sized.
#
# aligndet train aligndet::image_domain/insloc_r18_fpn_64px_folder.py --cfg-options train_dataloader.dataset.data_root=IMAGES
# aligndet export work_dirs/insloc_r18_fpn_64px_folder work_dirs/insloc_small.pth --config aligndet::finetune/insloc_faster-rcnn_r18_fpn_192px.py
#
# docs/results.md has a run: 60 epochs of 2,037 images. A key network that follows in 100 steps instead of 1,000 is what
# made so short a run learn.
_base_ = "insloc_r18_fpn_folder.py"

canvas = 64
pasted = [dict(type="aligndet.CopyAndPaste", background=side, canvas=canvas) for side in (0, 1)]
query, key = ([paste, *_base_.after_pasting] for paste in pasted)
model = dict(
    backbone=dict(base_channels=32),
    neck=dict(in_channels=[32, 64, 128, 256], out_channels=32),
    roi_head=dict(out_channels=32, bbox_head=dict(in_channels=32, conv_out_channels=32)),
    box_augmentation=dict(anchor_generator=dict(strides=[4])),
    queue_len=512,
    momentum=0.01,
)
train_dataloader = dict(
    num_workers=1,
    dataset=dict(
        pipeline=[dict(type="MultiBranch", branch_field=["query", "key"], query=query, key=key)],
    ),
)
epochs = 60
train_cfg = dict(max_epochs=epochs)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(type="CosineAnnealingLR", by_epoch=True, begin=0, end=epochs, T_max=epochs),
]
