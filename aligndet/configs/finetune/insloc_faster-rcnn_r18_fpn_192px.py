# Fine-tune a small Faster R-CNN (ResNet-18 of half width, 32-channel FPN, 192 px) from nothing, or from a backbone or InsLoc
# checkpoint that was trained without labels. CPU-sized.
#   aligndet export work_dirs/insloc_r18_fpn_64px_folder work_dirs/insloc_small.pth --config aligndet::finetune/insloc_faster-rcnn_r18_fpn_192px.py
#   aligndet train aligndet::finetune/insloc_faster-rcnn_r18_fpn_192px.py --cfg-options load_from=work_dirs/insloc_small.pth
# Against a random start: aligndet compare (docs/results.md has the command).
_base_ = [
    "mmdet::_base_/models/faster-rcnn_r50_fpn.py",
    "../_base_/coco_256px.py",
    "mmdet::_base_/schedules/schedule_1x.py",
    "mmdet::_base_/default_runtime.py",
]

norm_cfg = dict(type="BN", requires_grad=True)
model = dict(
    backbone=dict(
        depth=18, base_channels=32, frozen_stages=-1, norm_cfg=norm_cfg, norm_eval=False, init_cfg=None
    ),
    neck=dict(in_channels=[32, 64, 128, 256], out_channels=32, norm_cfg=norm_cfg),
    rpn_head=dict(in_channels=32, feat_channels=32, anchor_generator=dict(scales=[4])),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=32),
        bbox_head=dict(
            type="Shared4Conv1FCBBoxHead",
            in_channels=32,
            conv_out_channels=32,
            fc_out_channels=256,
            norm_cfg=norm_cfg,
        ),
    ),
    train_cfg=dict(rpn_proposal=dict(nms_pre=500, max_per_img=200), rcnn=dict(sampler=dict(num=64))),
    test_cfg=dict(rpn=dict(nms_pre=500, max_per_img=200)),
)

resize = dict(type="Resize", scale=(192, 192), keep_ratio=True)
train_pipeline = [*_base_.train_pipeline[:2], resize, *_base_.train_pipeline[3:]]
test_pipeline = [_base_.test_pipeline[0], resize, *_base_.test_pipeline[2:]]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
optim_wrapper = dict(optimizer=dict(lr=0.02), clip_grad=dict(max_norm=10, norm_type=2))
