# The demo's detector and its fine-tuning: RetinaNet, a ResNet-18 half as wide, FPN of 64 channels, 192 px. For a CPU.
#   aligndet compare aligndet::demo/retinanet_r18.py --start random= --start aligndet=work_dirs/demo/detector.pth \
#       --train TRAIN.json --val VAL.json --images IMAGES --percent 100 --iters 150 --batch 4 --lr 0.001 0.0005
_base_ = "../finetune/retinanet_lite0_256px.py"

model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    backbone=dict(
        _delete_=True,
        type="ResNet",
        depth=18,
        stem_channels=32,
        base_channels=32,
        frozen_stages=-1,
        norm_eval=True,
        init_cfg=dict(type="Pretrained", checkpoint="work_dirs/demo/backbone.pth"),
    ),
    neck=dict(in_channels=[32, 64, 128, 256], start_level=1, num_outs=4),
    bbox_head=dict(anchor_generator=dict(octave_base_scale=3, strides=[8, 16, 32, 64])),
)

resize = dict(type="Resize", scale=(192, 192), keep_ratio=True)
train_pipeline = [*_base_.train_pipeline[:2], resize, *_base_.train_pipeline[3:]]
test_pipeline = [_base_.test_pipeline[0], resize, *_base_.test_pipeline[2:]]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
optim_wrapper = dict(optimizer=dict(_delete_=True, type="AdamW", lr=0.001, weight_decay=0.05))
