# InsLoc, ResNet-50 with FPN: backbone, FPN and the RoI head's shared layers, 200 epochs of ImageNet without labels.
#
# tools/dist_train.sh aligndet::image_domain/insloc_r50_fpn_200e_imagenet.py 8
# aligndet export work_dirs/insloc_r50_fpn_200e_imagenet work_dirs/insloc_r50_fpn_200e_imagenet/detector.pth --config aligndet::finetune/insloc_mask-rcnn_r50_fpn_1x_coco.py
#
# The learning rate is for 8 GPUs x 32 images; --auto-scale-lr for others.
_base_ = ["mmdet::_base_/default_runtime.py", "../_base_/insloc_views.py"]

norm_cfg = dict(type="BN", requires_grad=True)
model = dict(
    type="aligndet.InsLoc",
    data_preprocessor={{_base_.data_preprocessor}},
    backbone=dict(
        type="mmdet.ResNet",
        depth=50,
        norm_cfg=norm_cfg,
        norm_eval=False,
        frozen_stages=-1,
        zero_init_residual=False,
    ),
    neck=dict(
        type="mmdet.FPN",
        in_channels=[256, 512, 1024, 2048],
        out_channels=256,
        num_outs=4,
        norm_cfg=norm_cfg,
    ),
    roi_head=dict(
        roi_layer=dict(type="RoIAlign", output_size=7, sampling_ratio=0, aligned=True),
        featmap_strides=[4, 8, 16, 32],
        out_channels=256,
        embed_dim=128,
        bbox_head=dict(
            type="mmdet.ConvFCBBoxHead",
            in_channels=256,
            conv_out_channels=256,
            fc_out_channels=1024,
            num_shared_convs=4,
            num_shared_fcs=2,
            norm_cfg=norm_cfg,
        ),
    ),
    head=dict(
        type="mmpretrain.ContrastiveHead",
        temperature=0.2,
        loss=dict(type="mmpretrain.CrossEntropyLoss", loss_weight=1.0),
    ),
    box_augmentation=dict(
        anchor_generator=dict(
            type="mmdet.AnchorGenerator",
            strides=[16],
            scales=[2, 4, 8, 16],
            ratios=[0.5, 0.75, 1.0, 1.5, 2.0],
        ),
        iou_thr=0.5,
        nms_thr=0.7,
    ),
    augmented_strides=[32],
    queue_len=65536,
    momentum=0.001,
)

epochs = 200
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=epochs)
optim_wrapper = dict(
    type="OptimWrapper", optimizer=dict(type="SGD", lr=0.03, momentum=0.9, nesterov=True, weight_decay=0.0001)
)
param_scheduler = [dict(type="CosineAnnealingLR", by_epoch=True, begin=0, end=epochs, T_max=epochs)]
auto_scale_lr = dict(enable=False, base_batch_size=256)
default_hooks = dict(checkpoint=dict(interval=5, max_keep_ckpts=3))
