# Fine-tune a small RetinaNet (EfficientNet-Lite0, 64 channels, 256 px) on a COCO-format data set. CPU-sized.
#   aligndet backbone convert LITE0_CHECKPOINT work_dirs/lite0.pth --config aligndet::finetune/retinanet_lite0_256px.py
#   aligndet train aligndet::finetune/retinanet_lite0_256px.py
# Against a random start, over label fractions and seeds: aligndet compare (docs/results.md has the command).
_base_ = [
    "mmdet::_base_/models/retinanet_r50_fpn.py",
    "../_base_/coco_256px.py",
    "mmdet::_base_/schedules/schedule_1x.py",
    "mmdet::_base_/default_runtime.py",
]

model = dict(
    data_preprocessor=dict(mean=[127.5] * 3, std=[127.5] * 3),
    backbone=dict(
        _delete_=True,
        type="mmpretrain.TIMMBackbone",
        model_name="tf_efficientnet_lite0",
        features_only=True,
        out_indices=(2, 3, 4),
        init_cfg=dict(type="Pretrained", checkpoint="work_dirs/lite0.pth"),
    ),
    neck=dict(in_channels=[40, 112, 320], out_channels=64, start_level=0, add_extra_convs="on_output"),
    bbox_head=dict(in_channels=64, feat_channels=64, stacked_convs=2),
)

optim_wrapper = dict(optimizer=dict(lr=0.005), clip_grad=dict(max_norm=10, norm_type=2))
