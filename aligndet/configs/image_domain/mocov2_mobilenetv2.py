# MoCo v2 (arXiv 2003.04297), MobileNetV2.
#
# tools/dist_train.sh aligndet::image_domain/mocov2_mobilenetv2.py 8
# aligndet train aligndet::image_domain/mocov2_mobilenetv2.py --cfg-options train_dataloader.dataset.data_root=IMAGES
# aligndet backbone convert work_dirs/mocov2_mobilenetv2 mocov2_mobilenetv2.pth --config mmdet::yolo/yolov3_mobilenetv2_8xb24-320-300e_coco.py
_base_ = "mocov2_r50.py"

model = dict(backbone=dict(_delete_=True, type="MobileNetV2"), neck=dict(in_channels=1280, hid_channels=1280))
