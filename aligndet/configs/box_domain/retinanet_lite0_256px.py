# Box-domain pre-training of a small RetinaNet (EfficientNet-Lite0, 64 channels, 256 px). CPU-sized.
#   aligndet proposals make IMAGES work_dirs/proposals.json
#   aligndet train aligndet::box_domain/retinanet_lite0_256px.py --cfg-options \
#       train_dataloader.dataset.ann_file=work_dirs/proposals.json train_dataloader.dataset.data_prefix.img=IMAGES/
_base_ = "../_base_/recipe_cnn.py"

model = dict(
    type="aligndet.BoxDomainPretrainer",
    detector="{{ fileDirname }}/../finetune/retinanet_lite0_256px.py",
    adapter=dict(embed_dim=128, num_slots=384),
)

view = [
    dict(
        type="RandomChoiceResize",
        scales=[(224, 224), (256, 256), (288, 288)],
        keep_ratio=True,
        resize_type="mmdet.Resize",
    ),
    dict(type="mmdet.RandomFlip", prob=0.5),
    dict(type="RandomChoice", transforms={{_base_.colour}}),
    dict(type="aligndet.PackView"),
]
train_dataloader = dict(
    batch_size=8,
    dataset=dict(
        ann_file="work_dirs/proposals.json",
        data_prefix=dict(img="data/images/"),
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="aligndet.LoadProposals"),
            dict(type="aligndet.SampleProposals", num=30, among=40),
            dict(type="aligndet.NumberProposals"),
            dict(type="mmdet.MultiBranch", branch_field=["online", "momentum"], online=view, momentum=view),
        ],
    ),
)
optim_wrapper = dict(optimizer=dict(lr=0.02), clip_grad=dict(max_norm=10, norm_type=2))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(
        type="CosineAnnealingLR",
        by_epoch=True,
        convert_to_iter_based=True,
        begin=0,
        end=12,
        eta_min_ratio=0.01,
    ),
]
