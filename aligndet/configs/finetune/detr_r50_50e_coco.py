# Fine-tune DETR R50 for 50 epochs of COCO: the short schedule of the paper's comparison.
#   tools/dist_train.sh aligndet::finetune/detr_r50_50e_coco.py 8
_base_ = "detr_r50_150e_coco.py"

train_cfg = dict(max_epochs=50)
param_scheduler = [dict(type="MultiStepLR", begin=0, end=50, by_epoch=True, milestones=[40], gamma=0.1)]
