# Box-domain pre-training of a small Deformable DETR (EfficientNet-Lite0, 256 px). CPU-sized.
#   aligndet proposals make IMAGES work_dirs/proposals.json
#   aligndet train aligndet::box_domain/deformable-detr_lite0_256px.py --cfg-options \
#       train_dataloader.dataset.ann_file=work_dirs/proposals.json train_dataloader.dataset.data_prefix.img=IMAGES/
_base_ = ["./retinanet_lite0_256px.py"]

model = dict(
    detector="{{ fileDirname }}/../finetune/deformable-detr_lite0_256px.py", adapter=dict(num_slots=2048)
)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type="AdamW", lr=0.0002, weight_decay=0.0001),
    clip_grad=dict(max_norm=0.1, norm_type=2),
)
