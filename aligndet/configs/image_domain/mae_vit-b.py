# MAE (arXiv 2111.06377), ViT-B/16.
#
# tools/dist_train.sh aligndet::image_domain/mae_vit-b.py 8
# aligndet train aligndet::image_domain/mae_vit-b.py --cfg-options train_dataloader.dataset.data_root=IMAGES
# aligndet backbone convert work_dirs/mae_vit-b mae_vit-b.pth --config aligndet::finetune/retinanet_vit-b_1x_coco.py
#
# The published batch is 4096: 8 processes of 512, or fewer with --auto-scale-lr. How a ViT enters a detector:
# aligndet::finetune/retinanet_vit-b_1x_coco.py.
_base_ = "mmpretrain::mae/mae_vit-base-p16_8xb512-amp-coslr-300e_in1k.py"

train_dataloader = dict(
    drop_last=True,  # batch norm fails on a last batch of one
    collate_fn=dict(_delete_=True, type="default_collate"),  # inherited, it carries a _scope_ it cannot take
    dataset=dict(type="aligndet.ImageFolder", data_root="data/imagenet/"),
)
