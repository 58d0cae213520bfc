"""BYOL (arXiv 2006.07733), ResNet-18.

tools/dist_train.sh configs/image_domain/byol_r18.py 8
python tools/train.py configs/image_domain/byol_r18.py --cfg-options train_dataloader.dataset.data_root=IMAGES
python tools/convert_backbone.py work_dirs/byol_r18 byol_r18.pth --detector mmdet::retinanet/retinanet_r18_fpn_1x_coco.py
"""

_base_ = "byol_r50.py"

model = dict(backbone=dict(depth=18), neck=dict(in_channels=512))
