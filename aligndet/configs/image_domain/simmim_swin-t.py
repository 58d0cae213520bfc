# SimMIM (arXiv 2111.09886), Swin-T.
#
# tools/dist_train.sh aligndet::image_domain/simmim_swin-t.py 8
# aligndet train aligndet::image_domain/simmim_swin-t.py --cfg-options train_dataloader.dataset.data_root=IMAGES
# aligndet backbone convert work_dirs/simmim_swin-t simmim_swin-t.pth --config mmdet::swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py
#
# At 224 px with windows of 7, unlike the stock 192 px with windows of 6: the table of relative positions then fits
# mmdet's Swin detectors (p4-w7) as it is.
_base_ = "mmpretrain::simmim/simmim_swin-base-w6_8xb256-amp-coslr-100e_in1k-192px.py"

model = dict(
    backbone=dict(arch="tiny", img_size=224, stage_cfgs=dict(block_cfgs=dict(window_size=7))),
    neck=dict(in_channels=768),
)
train_pipeline = _base_.train_pipeline
train_pipeline[1].scale = train_pipeline[3].input_size = 224  # crop, mask

train_dataloader = dict(
    drop_last=True,  # batch norm fails on a last batch of one
    collate_fn=dict(_delete_=True, type="default_collate"),  # inherited, it carries a _scope_ it cannot take
    dataset=dict(type="aligndet.ImageFolder", data_root="data/imagenet/", pipeline=train_pipeline),
)
