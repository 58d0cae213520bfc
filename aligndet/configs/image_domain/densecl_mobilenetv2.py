# DenseCL (arXiv 2011.09157), MobileNetV2.
#
# tools/dist_train.sh aligndet::image_domain/densecl_mobilenetv2.py 8
# aligndet train aligndet::image_domain/densecl_mobilenetv2.py --cfg-options train_dataloader.dataset.data_root=IMAGES
# aligndet backbone convert work_dirs/densecl_mobilenetv2 densecl_mobilenetv2.pth --config mmdet::yolo/yolov3_mobilenetv2_8xb24-320-300e_coco.py
_base_ = "densecl_r50.py"

model = dict(backbone=dict(_delete_=True, type="MobileNetV2"), neck=dict(in_channels=1280, hid_channels=1280))
