# Supervised classification, MobileNetV2.
#
# tools/dist_train.sh aligndet::image_domain/supervised_mobilenetv2.py 8
# aligndet train aligndet::image_domain/supervised_mobilenetv2.py --cfg-options train_dataloader.dataset.data_root=CLASSES/
# aligndet backbone convert work_dirs/supervised_mobilenetv2 supervised_mobilenetv2.pth --config mmdet::yolo/yolov3_mobilenetv2_8xb24-320-300e_coco.py
#
# CLASSES has a folder per class, or train/ and val/ with one each. With other classes than ImageNet's 1000 also:
# model.head.num_classes=N data_preprocessor.num_classes=N val_dataloader.dataset.data_root=CLASSES
_base_ = "mmpretrain::mobilenet_v2/mobilenet-v2_8xb32_in1k.py"

train_dataloader = dict(
    dataset=dict(type="aligndet.ImageFolder", data_root="data/imagenet/", with_label=True),
)
val_dataloader = dict(
    dataset=dict(type="aligndet.ImageFolder", data_root="data/imagenet/", with_label=True, test_mode=True),
)
