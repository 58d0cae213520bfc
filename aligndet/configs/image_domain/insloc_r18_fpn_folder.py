# InsLoc, ResNet-18 with a 64-channel FPN and 128 px composites, on a folder of your own images (any nesting; no labels).
# One GPU, or a CPU with patience.
#
# aligndet train aligndet::image_domain/insloc_r18_fpn_folder.py --cfg-options train_dataloader.dataset.data_root=IMAGES
# aligndet export work_dirs/insloc_r18_fpn_folder work_dirs/insloc_r18_fpn_folder/detector.pth --config YOUR_DETECTOR.py
#
# Keep queue_len well below the number of images, or an image meets old keys of its own among the negatives.
#
# With R50's learning rate and initial values this narrow network gave every box one embedding within 20 steps (real
# images, 64 px, batch 16). Residual branches that start at zero, Xavier for the head's last layers, clipped gradients and
# a warm-up kept them apart over the 60 steps that were watched; longer runs were not.
_base_ = "insloc_r50_fpn_200e_imagenet.py"

images = "data/images/"
batch_size = 32
canvas = 128
pasted = [dict(type="aligndet.CopyAndPaste", background=side, canvas=canvas) for side in (0, 1)]
query, key = ([paste, *_base_.after_pasting] for paste in pasted)
model = dict(
    backbone=dict(depth=18, zero_init_residual=True),
    neck=dict(in_channels=[64, 128, 256, 512], out_channels=64),
    roi_head=dict(
        out_channels=64,
        bbox_head=dict(
            in_channels=64,
            conv_out_channels=64,
            fc_out_channels=256,
            init_cfg=[dict(type="Xavier", distribution="uniform", layer="Linear")],
        ),
    ),
    box_augmentation=dict(anchor_generator=dict(strides=[8])),
    queue_len=1024,
    shuffle_groups=4,  # one process: normalise as four GPUs would
)
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=2,
    dataset=dict(
        data_root=images,
        pipeline=[dict(type="MultiBranch", branch_field=["query", "key"], query=query, key=key)],
    ),
)
optim_wrapper = dict(optimizer=dict(lr=0.03), clip_grad=dict(max_norm=1.0))
epochs = 200
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(type="CosineAnnealingLR", by_epoch=True, begin=0, end=epochs, T_max=epochs),
]
auto_scale_lr = dict(base_batch_size=batch_size)
default_hooks = dict(logger=dict(interval=10))
