# DenseCL (arXiv 2011.09157), ResNet-50.
#
# tools/dist_train.sh aligndet::image_domain/densecl_r50.py 8
# aligndet train aligndet::image_domain/densecl_r50.py --cfg-options train_dataloader.dataset.data_root=IMAGES
# aligndet backbone convert work_dirs/densecl_r50 densecl_r50.pth --config mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py
#
# ``model.queue_len``: as in mocov2_r50.py.
_base_ = "mmpretrain::densecl/densecl_resnet50_8xb32-coslr-200e_in1k.py"

train_dataloader = dict(
    drop_last=True,  # batch norm fails on a last batch of one
    collate_fn=dict(_delete_=True, type="default_collate"),  # inherited, it carries a _scope_ it cannot take
    dataset=dict(type="aligndet.ImageFolder", data_root="data/imagenet/"),
)
