# InsLoc, ResNet-50 with FPN, 400 epochs of ImageNet without labels.
#
# tools/dist_train.sh aligndet::image_domain/insloc_r50_fpn_400e_imagenet.py 8
_base_ = "insloc_r50_fpn_200e_imagenet.py"

epochs = 400
train_cfg = dict(max_epochs=epochs)
param_scheduler = [dict(type="CosineAnnealingLR", by_epoch=True, begin=0, end=epochs, T_max=epochs)]
