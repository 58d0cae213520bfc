# Fine-tune Mask R-CNN R50-C4 for 90,000 iterations of COCO from InsLoc: backbone and last stage.
#   aligndet export work_dirs/insloc_r50_c4_200e_imagenet work_dirs/insloc_r50_c4_200e_imagenet/detector.pth --config aligndet::finetune/insloc_mask-rcnn_r50_c4_1x_coco.py
#   tools/dist_train.sh aligndet::finetune/insloc_mask-rcnn_r50_c4_1x_coco.py 8
# mmdet's C4 detectors are for Caffe weights; stage, stride and normalisation are changed to those of InsLoc.
_base_ = [
    "mmdet::_base_/models/mask-rcnn_r50-caffe-c4.py",
    "../_base_/coco_instance_multiscale.py",
    "../_base_/finetune_90k.py",
    "../_base_/insloc_c4.py",
]

load_from = "work_dirs/insloc_r50_c4_200e_imagenet/detector.pth"
model = _base_.insloc_c4
