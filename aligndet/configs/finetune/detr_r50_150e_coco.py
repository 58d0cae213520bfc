# Fine-tune DETR R50 for 150 epochs of COCO, from a box-domain pre-training. Stock mmdet otherwise.
#   aligndet export work_dirs/detr_r50_50e_coco/epoch_50.pth work_dirs/detr_r50_50e_coco/detector.pth
#   tools/dist_train.sh aligndet::finetune/detr_r50_150e_coco.py 8
_base_ = "mmdet::detr/detr_r50_8xb2-150e_coco.py"

load_from = "work_dirs/detr_r50_50e_coco/detector.pth"
