# MoCo v2 (arXiv 2003.04297), ResNet-18.
#
# tools/dist_train.sh aligndet::image_domain/mocov2_r18.py 8
# aligndet train aligndet::image_domain/mocov2_r18.py --cfg-options train_dataloader.dataset.data_root=IMAGES
# aligndet backbone convert work_dirs/mocov2_r18 mocov2_r18.pth --config mmdet::retinanet/retinanet_r18_fpn_1x_coco.py
_base_ = "mocov2_r50.py"

model = dict(backbone=dict(depth=18), neck=dict(in_channels=512, hid_channels=512))
