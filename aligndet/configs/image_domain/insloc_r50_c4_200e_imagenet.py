# InsLoc, ResNet-50 C4: RoIAlign on the stride-16 map, the last stage as the RoI head; 200 epochs of ImageNet without labels.
#
# tools/dist_train.sh aligndet::image_domain/insloc_r50_c4_200e_imagenet.py 8
# aligndet export work_dirs/insloc_r50_c4_200e_imagenet work_dirs/insloc_r50_c4_200e_imagenet/detector.pth --config aligndet::finetune/insloc_mask-rcnn_r50_c4_1x_coco.py
#
# The published code has no C4 config. RoI size and stage are those of mmdet's C4 detectors, the projection is MoCo v2's.
_base_ = "insloc_r50_fpn_200e_imagenet.py"

norm_cfg = dict(type="BN", requires_grad=True)
model = dict(
    backbone=dict(num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1), out_indices=(2,)),
    neck=None,
    roi_head=dict(
        _delete_=True,
        roi_layer=dict(type="RoIAlign", output_size=14, sampling_ratio=0, aligned=True),
        featmap_strides=[16],
        out_channels=1024,
        embed_dim=128,
        shared_head=dict(
            type="mmdet.ResLayer", depth=50, stage=3, stride=2, norm_cfg=norm_cfg, norm_eval=False
        ),
        bbox_head=dict(
            type="mmdet.ConvFCBBoxHead",
            in_channels=2048,
            roi_feat_size=7,
            with_avg_pool=True,
            fc_out_channels=2048,
            num_shared_fcs=1,
        ),
    ),
    augmented_strides=[16],
)
