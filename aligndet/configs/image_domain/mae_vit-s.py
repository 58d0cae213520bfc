# MAE (arXiv 2111.06377), ViT-S/16.
#
# tools/dist_train.sh aligndet::image_domain/mae_vit-s.py 8
# aligndet train aligndet::image_domain/mae_vit-s.py --cfg-options train_dataloader.dataset.data_root=IMAGES
# aligndet backbone convert work_dirs/mae_vit-s mae_vit-s.pth --config YOUR_DETECTOR.py
_base_ = "mae_vit-b.py"

model = dict(backbone=dict(arch="deit-small"), neck=dict(embed_dim=384))
