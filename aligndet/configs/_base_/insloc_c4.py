# What an InsLoc backbone changes in mmdet's C4 detectors, which are for Caffe weights: stride, stages, normalisation.
insloc_norm = dict(type="BN", requires_grad=True)
insloc_c4 = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True),
    backbone=dict(style="pytorch", frozen_stages=-1, norm_eval=False, norm_cfg=insloc_norm, init_cfg=None),
    roi_head=dict(shared_head=dict(style="pytorch", norm_cfg=insloc_norm, norm_eval=False)),
)
