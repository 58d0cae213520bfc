# Fine-tune a small RTMDet (EfficientNet-Lite0, 64 channels, 256 px): one stage, dynamic soft labels. CPU-sized.
#   aligndet backbone convert LITE0_CHECKPOINT work_dirs/lite0.pth --config aligndet::finetune/rtmdet_lite0_256px.py
#   aligndet train aligndet::finetune/rtmdet_lite0_256px.py
_base_ = ["./retinanet_lite0_256px.py"]

model = dict(
    _delete_=True,
    type="RTMDet",
    data_preprocessor=dict(
        type="DetDataPreprocessor", mean=[127.5] * 3, std=[127.5] * 3, bgr_to_rgb=True, pad_size_divisor=32
    ),
    backbone={{_base_.model.backbone}},
    neck=dict(
        type="CSPNeXtPAFPN",
        in_channels=[40, 112, 320],
        out_channels=64,
        num_csp_blocks=1,
        norm_cfg=dict(type="BN"),
        act_cfg=dict(type="SiLU", inplace=True),
    ),
    bbox_head=dict(
        type="RTMDetSepBNHead",
        num_classes=80,
        in_channels=64,
        feat_channels=64,
        stacked_convs=2,
        anchor_generator=dict(type="MlvlPointGenerator", offset=0, strides=[8, 16, 32]),
        bbox_coder=dict(type="DistancePointBBoxCoder"),
        loss_cls=dict(type="QualityFocalLoss", use_sigmoid=True, beta=2.0, loss_weight=1.0),
        loss_bbox=dict(type="GIoULoss", loss_weight=2.0),
        with_objectness=False,
        exp_on_reg=False,
        share_conv=True,
        pred_kernel_size=1,
        norm_cfg=dict(type="BN"),
        act_cfg=dict(type="SiLU", inplace=True),
    ),
    train_cfg=dict(
        assigner=dict(type="DynamicSoftLabelAssigner", topk=13), allowed_border=-1, pos_weight=-1, debug=False
    ),
    test_cfg=dict(
        nms_pre=1000,
        min_bbox_size=0,
        score_thr=0.001,
        nms=dict(type="nms", iou_threshold=0.65),
        max_per_img=100,
    ),
)
