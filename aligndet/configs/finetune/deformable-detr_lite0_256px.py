# Fine-tune a small Deformable DETR (EfficientNet-Lite0, 128 channels, 3 + 3 layers, 100 queries, 256 px). CPU-sized.
#   aligndet backbone convert LITE0_CHECKPOINT work_dirs/lite0.pth --config aligndet::finetune/deformable-detr_lite0_256px.py
#   aligndet train aligndet::finetune/deformable-detr_lite0_256px.py
_base_ = ["./retinanet_lite0_256px.py"]

attention = dict(embed_dims=128, num_heads=8, dropout=0.1, batch_first=True)
deformable = dict(embed_dims=128, num_heads=8, num_levels=3, num_points=4, batch_first=True)
ffn = dict(embed_dims=128, feedforward_channels=256, ffn_drop=0.1)
model = dict(
    _delete_=True,
    type="DeformableDETR",
    num_queries=100,
    num_feature_levels=3,
    with_box_refine=False,
    as_two_stage=False,
    data_preprocessor={{_base_.model.data_preprocessor}},
    backbone={{_base_.model.backbone}},
    neck=dict(
        type="ChannelMapper",
        in_channels=[40, 112, 320],
        kernel_size=1,
        out_channels=128,
        act_cfg=None,
        norm_cfg=dict(type="GN", num_groups=32),
        num_outs=3,
    ),
    encoder=dict(num_layers=3, layer_cfg=dict(self_attn_cfg=deformable, ffn_cfg=ffn)),
    decoder=dict(
        num_layers=3,
        return_intermediate=True,
        layer_cfg=dict(self_attn_cfg=attention, cross_attn_cfg=deformable, ffn_cfg=ffn),
        post_norm_cfg=None,
    ),
    positional_encoding=dict(num_feats=64, normalize=True, offset=-0.5),
    bbox_head=dict(
        type="DeformableDETRHead",
        num_classes=80,
        embed_dims=128,
        sync_cls_avg_factor=True,
        loss_cls=dict(type="FocalLoss", use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=2.0),
        loss_bbox=dict(type="L1Loss", loss_weight=5.0),
        loss_iou=dict(type="GIoULoss", loss_weight=2.0),
    ),
    train_cfg=dict(
        assigner=dict(
            type="HungarianAssigner",
            match_costs=[
                dict(type="FocalLossCost", weight=2.0),
                dict(type="BBoxL1Cost", weight=5.0, box_format="xywh"),
                dict(type="IoUCost", iou_mode="giou", weight=2.0),
            ],
        )
    ),
    test_cfg=dict(max_per_img=100),
)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type="AdamW", lr=0.0002, weight_decay=0.0001),
    clip_grad=dict(max_norm=0.1, norm_type=2),
)
