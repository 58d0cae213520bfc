# Box-domain pre-training of a small RTMDet (EfficientNet-Lite0, 256 px). CPU-sized.
#   aligndet proposals make IMAGES work_dirs/proposals.json
#   aligndet train aligndet::box_domain/rtmdet_lite0_256px.py --cfg-options \
#       train_dataloader.dataset.ann_file=work_dirs/proposals.json train_dataloader.dataset.data_prefix.img=IMAGES/
_base_ = ["./retinanet_lite0_256px.py"]

model = dict(detector="{{ fileDirname }}/../finetune/rtmdet_lite0_256px.py", adapter=dict(num_slots=256))
