"""SimSiam, ResNet-18, on a folder of your own images (any nesting; no labels). One GPU, several, or a CPU.

python tools/train.py configs/image_domain/simsiam_r18_folder.py --cfg-options train_dataloader.dataset.data_root=IMAGES
python tools/convert_backbone.py work_dirs/simsiam_r18_folder backbone.pth --detector YOUR_DETECTOR.py

For another batch size change ``batch_size`` here; the learning rate follows.
"""

_base_ = "mmpretrain::simsiam/simsiam_resnet50_8xb32-coslr-100e_in1k.py"

images = "data/images/"
batch_size = 64
epochs = 200
lr = 0.05 * batch_size / 256

model = dict(backbone=dict(depth=18), neck=dict(in_channels=512))

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

optim_wrapper = dict(optimizer=dict(lr=lr))
param_scheduler = [dict(type="CosineAnnealingLR", T_max=epochs, by_epoch=True, begin=0, end=epochs)]
train_cfg = dict(max_epochs=epochs)
custom_hooks = [dict(type="SimSiamHook", priority="HIGH", fix_pred_lr=True, lr=lr)]
default_hooks = dict(logger=dict(interval=10))
