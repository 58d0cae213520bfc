# Fine-tune RetinaNet on a plain ViT-B/16, pre-trained by MAE: how a ViT enters a detector with stock parts.
#   aligndet backbone convert work_dirs/mae_vit-b work_dirs/mae_vit-b.pth --config aligndet::finetune/retinanet_vit-b_1x_coco.py
#   tools/dist_train.sh aligndet::finetune/retinanet_vit-b_1x_coco.py 8
# A ViT has one map, of stride 16. mmdet has no neck that enlarges it (ViTDet lives in its projects folder), so the levels are
# strides 16 to 128, with anchors from 32 px as in the stock RetinaNet. Position embeddings are resized to the image.
_base_ = "mmdet::retinanet/retinanet_r50_fpn_1x_coco.py"

model = dict(
    backbone=dict(
        _delete_=True,
        type="mmpretrain.VisionTransformer",
        arch="base",
        img_size=224,
        patch_size=16,
        drop_path_rate=0.1,
        out_type="featmap",
        init_cfg=dict(type="Pretrained", checkpoint="work_dirs/mae_vit-b.pth"),
    ),
    neck=dict(in_channels=[768], start_level=0, add_extra_convs="on_output", num_outs=4),
    bbox_head=dict(anchor_generator=dict(octave_base_scale=2, strides=[16, 32, 64, 128])),
)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type="AdamW", lr=0.0001, weight_decay=0.05),
    clip_grad=dict(max_norm=1.0, norm_type=2),
)
