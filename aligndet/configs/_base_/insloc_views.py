# Data of InsLoc: two composites of each image, colours changed as in MoCo v2, one box each.
# Other images (a plain folder, nested or not, or ImageNet):  --cfg-options train_dataloader.dataset.data_root=IMAGES
data_preprocessor = dict(
    type="mmdet.DetDataPreprocessor",
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
)
after_pasting = [
    dict(
        type="RandomApply",
        prob=0.8,
        transforms=[
            dict(type="mmpretrain.ColorJitter", brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)
        ],
    ),
    dict(type="RandomGrayscale", prob=0.2, keep_channels=True, channel_weights=(0.114, 0.587, 0.2989)),
    dict(type="mmpretrain.GaussianBlur", magnitude_range=(0.1, 2.0), magnitude_std="inf", prob=0.5),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackDetInputs"),
]
train_dataloader = dict(
    batch_size=32,
    num_workers=8,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(
        type="aligndet.CompositeFolder",
        data_root="data/imagenet/",
        with_label=False,
        pipeline=[
            dict(
                type="MultiBranch",
                branch_field=["query", "key"],
                query=[dict(type="aligndet.CopyAndPaste", background=0, canvas=256), *after_pasting],
                key=[dict(type="aligndet.CopyAndPaste", background=1, canvas=256), *after_pasting],
            )
        ],
    ),
)
