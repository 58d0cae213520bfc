# Fine-tune Faster R-CNN R50-FPN for 24,000 iterations of VOC 07+12 trainval from InsLoc; tested on VOC 07 test.
#   aligndet export work_dirs/insloc_r50_fpn_200e_imagenet work_dirs/insloc_r50_fpn_200e_imagenet/detector.pth --config aligndet::finetune/insloc_faster-rcnn_r50_fpn_24k_voc0712.py
#   tools/dist_train.sh aligndet::finetune/insloc_faster-rcnn_r50_fpn_24k_voc0712.py 8
# InsLoc's paper fine-tunes C4 on VOC; this is the schedule of that, on mmdet's stock VOC data.
_base_ = "mmdet::pascal_voc/faster-rcnn_r50_fpn_1x_voc0712.py"

load_from = "work_dirs/insloc_r50_fpn_200e_imagenet/detector.pth"
norm_cfg = dict(type="BN", requires_grad=True)
model = dict(
    backbone=dict(frozen_stages=-1, norm_eval=False, norm_cfg=norm_cfg, init_cfg=None),
    neck=dict(norm_cfg=norm_cfg),
    roi_head=dict(bbox_head=dict(type="Shared4Conv1FCBBoxHead", conv_out_channels=256, norm_cfg=norm_cfg)),
)
iterations, evaluate_every = 24000, 6000
train_cfg = dict(_delete_=True, type="IterBasedTrainLoop", max_iters=iterations, val_interval=evaluate_every)
train_dataloader = dict(sampler=dict(type="InfiniteSampler", shuffle=True))
optim_wrapper = dict(optimizer=dict(lr=0.02))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=100),
    dict(type="MultiStepLR", begin=0, end=iterations, by_epoch=False, milestones=[18000, 22000], gamma=0.1),
]
sync_bn = "torch"
custom_hooks = [dict(type="mmpretrain.PreciseBNHook", num_samples=3200, interval=evaluate_every)]
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=evaluate_every))
log_processor = dict(by_epoch=False)
