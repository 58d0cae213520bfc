# Supervised classification, Swin-T.
#
# tools/dist_train.sh aligndet::image_domain/supervised_swin-t.py 8
# aligndet train aligndet::image_domain/supervised_swin-t.py --cfg-options train_dataloader.dataset.data_root=CLASSES/
# aligndet backbone convert work_dirs/supervised_swin-t supervised_swin-t.pth --config mmdet::swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py
#
# CLASSES has a folder per class, or train/ and val/ with one each. With other classes than ImageNet's 1000 also:
# model.head.num_classes=N data_preprocessor.num_classes=N val_dataloader.dataset.data_root=CLASSES
_base_ = "mmpretrain::swin_transformer/swin-tiny_16xb64_in1k.py"

train_dataloader = dict(
    dataset=dict(type="aligndet.ImageFolder", data_root="data/imagenet/", with_label=True),
)
val_dataloader = dict(
    dataset=dict(type="aligndet.ImageFolder", data_root="data/imagenet/", with_label=True, test_mode=True),
)
