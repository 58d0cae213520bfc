# MoCo v3 (arXiv 2104.02057), ResNet-50.
#
# tools/dist_train.sh aligndet::image_domain/mocov3_r50.py 8
# aligndet train aligndet::image_domain/mocov3_r50.py --cfg-options train_dataloader.dataset.data_root=IMAGES
# aligndet backbone convert work_dirs/mocov3_r50 mocov3_r50.pth --config mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py
#
# The published batch is 4096: 8 processes of 512, or fewer with --auto-scale-lr. Mixed precision where there is a GPU.
_base_ = "mmpretrain::mocov3/mocov3_resnet50_8xb512-amp-coslr-300e_in1k.py"

train_dataloader = dict(
    drop_last=True,  # batch norm fails on a last batch of one
    collate_fn=dict(_delete_=True, type="default_collate"),  # inherited, it carries a _scope_ it cannot take
    dataset=dict(type="aligndet.ImageFolder", data_root="data/imagenet/"),
)
