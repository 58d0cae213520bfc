# SwAV (arXiv 2006.09882), ResNet-50.
#
# tools/dist_train.sh aligndet::image_domain/swav_r50.py 8
# aligndet train aligndet::image_domain/swav_r50.py --cfg-options train_dataloader.dataset.data_root=IMAGES
# aligndet backbone convert work_dirs/swav_r50 swav_r50.pth --config mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py
#
# Another batch size must be said twice: train_dataloader.batch_size and custom_hooks.0.batch_size (images per process; it
# sizes the queue of features that joins after 15 epochs).
_base_ = "mmpretrain::swav/swav_resnet50_8xb32-mcrop-coslr-200e_in1k-224px-96px.py"

train_dataloader = dict(
    drop_last=True,  # batch norm fails on a last batch of one
    collate_fn=dict(_delete_=True, type="default_collate"),  # inherited, it carries a _scope_ it cannot take
    dataset=dict(
        _delete_=True,
        type="aligndet.ImageFolder",
        data_root="data/imagenet/",
        pipeline={{_base_.train_pipeline}},
    ),
)
auto_scale_lr = dict(base_batch_size=256)
