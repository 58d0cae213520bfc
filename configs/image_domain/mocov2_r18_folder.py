"""MoCo v2, ResNet-18, on a folder of your own images (any nesting; no labels). One GPU, several, or a CPU.

python tools/train.py configs/image_domain/mocov2_r18_folder.py --cfg-options train_dataloader.dataset.data_root=IMAGES
python tools/convert_backbone.py work_dirs/mocov2_r18_folder backbone.pth --detector YOUR_DETECTOR.py

``queue_len`` must be a multiple of the whole batch (all GPUs) and well below the number of images, or an image
meets old keys of its own among the negatives.
"""

_base_ = "mmpretrain::mocov2/mocov2_resnet50_8xb32-coslr-200e_in1k.py"

images = "data/images/"
batch_size = 64
queue_len = 1024
epochs = 200

model = dict(queue_len=queue_len, backbone=dict(depth=18), neck=dict(in_channels=512, hid_channels=512))

train_dataloader = dict(
    batch_size=batch_size,
    num_workers=4,
    collate_fn=dict(_delete_=True, type="default_collate"),  # inherited, it carries a _scope_ it cannot take
    dataset=dict(
        _delete_=True,
        type="CustomDataset",
        data_root=images,
        with_label=False,
        pipeline={{_base_.train_pipeline}},
    ),
)

optim_wrapper = dict(optimizer=dict(lr=0.03 * batch_size / 256))
param_scheduler = [dict(type="CosineAnnealingLR", T_max=epochs, by_epoch=True, begin=0, end=epochs)]
train_cfg = dict(max_epochs=epochs)
default_hooks = dict(logger=dict(interval=10))
