# MoCo v3 (arXiv 2104.02057), Swin-T.
#
# tools/dist_train.sh aligndet::image_domain/mocov3_swin-t.py 8
# aligndet train aligndet::image_domain/mocov3_swin-t.py --cfg-options train_dataloader.dataset.data_root=IMAGES
# aligndet backbone convert work_dirs/mocov3_swin-t mocov3_swin-t.pth --config mmdet::swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py
#
# The recipe is that of ViT (AdamW, batch 4096: 16 processes of 256, or fewer with --auto-scale-lr).
_base_ = "mmpretrain::mocov3/mocov3_vit-small-p16_16xb256-amp-coslr-300e_in1k.py"

model = dict(
    backbone=dict(_delete_=True, type="SwinTransformer", arch="tiny", img_size=224, drop_path_rate=0.1),
    neck=dict(in_channels=768, with_avg_pool=True),
)

train_dataloader = dict(
    drop_last=True,  # batch norm fails on a last batch of one
    collate_fn=dict(_delete_=True, type="default_collate"),  # inherited, it carries a _scope_ it cannot take
    dataset=dict(type="aligndet.ImageFolder", data_root="data/imagenet/"),
)
