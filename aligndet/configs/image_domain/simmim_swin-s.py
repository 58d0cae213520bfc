# SimMIM (arXiv 2111.09886), Swin-S.
#
# tools/dist_train.sh aligndet::image_domain/simmim_swin-s.py 8
# aligndet train aligndet::image_domain/simmim_swin-s.py --cfg-options train_dataloader.dataset.data_root=IMAGES
# aligndet backbone convert work_dirs/simmim_swin-s simmim_swin-s.pth --config mmdet::swin/mask-rcnn_swin-s-p4-w7_fpn_amp-ms-crop-3x_coco.py
_base_ = "simmim_swin-t.py"

model = dict(backbone=dict(arch="small"))
