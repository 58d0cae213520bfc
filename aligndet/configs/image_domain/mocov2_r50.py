# MoCo v2 (arXiv 2003.04297), ResNet-50.
#
# tools/dist_train.sh aligndet::image_domain/mocov2_r50.py 8
# aligndet train aligndet::image_domain/mocov2_r50.py --cfg-options train_dataloader.dataset.data_root=IMAGES
# aligndet backbone convert work_dirs/mocov2_r50 mocov2_r50.pth --config mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py
#
# ``model.queue_len`` must be a multiple of the whole batch and well below the number of images, or an image meets
# older views of its own among the negatives: mocov2_r18_folder.py shows a small set.
_base_ = "mmpretrain::mocov2/mocov2_resnet50_8xb32-coslr-200e_in1k.py"

train_dataloader = dict(
    drop_last=True,  # batch norm fails on a last batch of one
    collate_fn=dict(_delete_=True, type="default_collate"),  # inherited, it carries a _scope_ it cannot take
    dataset=dict(type="aligndet.ImageFolder", data_root="data/imagenet/"),
)
