# Data of box-domain pre-training: unlabelled images, proposals, two views of each image.
# Other images:  --cfg-options train_dataloader.dataset.ann_file=PROPOSALS train_dataloader.dataset.data_prefix.img=DIR/
colour = [  # one of these, or none, per view
    [],
    [dict(type="mmdet.AutoContrast")],
    [dict(type="mmdet.Equalize")],
    [dict(type="mmdet.Solarize", min_mag=25.6)],
    [dict(type="mmdet.Color", min_mag=0.28)],
    [dict(type="mmdet.Contrast", min_mag=0.28)],
    [dict(type="mmdet.Brightness", min_mag=0.28)],
    [dict(type="mmdet.Sharpness", min_mag=0.28)],
    [dict(type="mmdet.Posterize", min_mag=4.0, max_mag=8.0)],
]
view = [
    dict(
        type="RandomChoiceResize",
        scales=[(1333, 640), (1333, 672), (1333, 704), (1333, 736), (1333, 768), (1333, 800)],
        keep_ratio=True,
        resize_type="mmdet.Resize",
    ),
    dict(type="mmdet.RandomFlip", prob=0.5),
    dict(type="RandomChoice", transforms=colour),
    dict(type="aligndet.PackView"),
]
train_dataloader = dict(
    batch_size=2,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    batch_sampler=dict(type="mmdet.AspectRatioBatchSampler"),
    dataset=dict(
        type="aligndet.ProposalDataset",
        ann_file="data/coco/proposals/train2017",
        data_prefix=dict(img="data/coco/train2017/"),
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="aligndet.LoadProposals"),
            dict(type="aligndet.SampleProposals", num=80),
            dict(type="aligndet.NumberProposals"),
            dict(type="mmdet.MultiBranch", branch_field=["online", "momentum"], online=view, momentum=view),
        ],
    ),
)
