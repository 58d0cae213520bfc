# Box-domain pre-training of DETR R50, COCO train2017 without labels, 50 epochs, on 256 clusters of proposals.
#   aligndet proposals make data/coco/train2017 data/coco/proposals/train2017
#   aligndet proposals cluster data/coco/proposals/train2017 \
#       data/coco/proposals/train2017_c256 --images data/coco/train2017 --config mmdet::detr/detr_r50_8xb2-150e_coco.py
#   tools/dist_train.sh aligndet::box_domain/detr_r50_50e_coco.py 8
# Without clusters: ann_file of plain proposals and model.num_clusters=1.
_base_ = "../_base_/recipe_transformer.py"

model = dict(
    type="aligndet.BoxDomainPretrainer", detector="mmdet::detr/detr_r50_8xb2-150e_coco.py", num_clusters=256
)
train_dataloader = dict(dataset=dict(ann_file="data/coco/proposals/train2017_c256"))
