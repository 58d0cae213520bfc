"""MAE (arXiv 2111.06377), ViT-S/16.

tools/dist_train.sh configs/image_domain/mae_vit-s.py 8
python tools/train.py configs/image_domain/mae_vit-s.py --cfg-options train_dataloader.dataset.data_root=IMAGES
python tools/convert_backbone.py work_dirs/mae_vit-s mae_vit-s.pth --detector YOUR_DETECTOR.py
"""

_base_ = "mae_vit-b.py"

model = dict(backbone=dict(arch="deit-small"), neck=dict(embed_dim=384))
