# Fine-tune Faster R-CNN R50-C4 for 24,000 iterations of VOC 07+12 trainval from InsLoc; tested on VOC 07 test.
#   aligndet export work_dirs/insloc_r50_c4_200e_imagenet work_dirs/insloc_r50_c4_200e_imagenet/detector.pth --config aligndet::finetune/insloc_faster-rcnn_r50_c4_24k_voc0712.py
#   tools/dist_train.sh aligndet::finetune/insloc_faster-rcnn_r50_c4_24k_voc0712.py 8
_base_ = ["mmdet::pascal_voc/faster-rcnn_r50-caffe-c4_ms-18k_voc0712.py", "../_base_/insloc_c4.py"]

load_from = "work_dirs/insloc_r50_c4_200e_imagenet/detector.pth"
model = _base_.insloc_c4
iterations, evaluate_every = 24000, 6000
train_cfg = dict(max_iters=iterations, val_interval=evaluate_every)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=100),
    dict(type="MultiStepLR", begin=0, end=iterations, by_epoch=False, milestones=[18000, 22000], gamma=0.1),
]
sync_bn = "torch"
custom_hooks = [dict(type="mmpretrain.PreciseBNHook", num_samples=3200, interval=evaluate_every)]
default_hooks = dict(checkpoint=dict(interval=evaluate_every))
