# MoCo v3 (arXiv 2104.02057), Swin-S.
#
# tools/dist_train.sh aligndet::image_domain/mocov3_swin-s.py 8
# aligndet train aligndet::image_domain/mocov3_swin-s.py --cfg-options train_dataloader.dataset.data_root=IMAGES
# aligndet backbone convert work_dirs/mocov3_swin-s mocov3_swin-s.pth --config mmdet::swin/mask-rcnn_swin-s-p4-w7_fpn_amp-ms-crop-3x_coco.py
_base_ = "mocov3_swin-t.py"

model = dict(backbone=dict(arch="small", drop_path_rate=0.2))
