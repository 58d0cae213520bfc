# Fine-tune Faster R-CNN R50 for 12 epochs of COCO, from a box-domain pre-training. Stock mmdet otherwise.
#   aligndet export work_dirs/faster-rcnn_r50_fpn_1x_coco/epoch_12.pth work_dirs/faster-rcnn_r50_fpn_1x_coco/detector.pth
#   tools/dist_train.sh aligndet::finetune/faster-rcnn_r50_fpn_1x_coco.py 8
_base_ = "mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py"

load_from = "work_dirs/faster-rcnn_r50_fpn_1x_coco/detector.pth"
# The paper's usual change for a pre-trained start: lr x 1.5, weight decay / 2. Search both arms of a comparison.
optim_wrapper = dict(optimizer=dict(lr=0.03, weight_decay=5e-5))
