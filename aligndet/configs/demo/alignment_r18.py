# Stage 2 of the demo: box-domain pre-training of aligndet::demo/retinanet_r18.py, 200 steps of 8 images. For a CPU.
#   aligndet proposals make IMAGES proposals.json --min-side 16
#   aligndet train aligndet::demo/alignment_r18.py --cfg-options \
#       train_dataloader.dataset.ann_file=proposals.json train_dataloader.dataset.data_prefix.img=IMAGES/
# Counted in steps, not in epochs, so that it takes as long on ten images as on a thousand.
_base_ = "../box_domain/retinanet_lite0_256px.py"

model = dict(detector="{{ fileDirname }}/retinanet_r18.py", adapter=dict(embed_dim=128, num_slots=192))

view = [
    dict(
        type="RandomChoiceResize",
        scales=[(160, 160), (176, 176), (192, 192)],
        keep_ratio=True,
        resize_type="mmdet.Resize",
    ),
    *_base_.view[1:],
]
train_dataloader = dict(
    num_workers=1,
    sampler=dict(type="InfiniteSampler", shuffle=True),
    dataset=dict(
        pipeline=[
            *_base_.train_dataloader.dataset.pipeline[:2],
            dict(type="aligndet.SampleProposals", num=20, among=40),
            _base_.train_dataloader.dataset.pipeline[3],
            dict(type="mmdet.MultiBranch", branch_field=["online", "momentum"], online=view, momentum=view),
        ]
    ),
)
optim_wrapper = dict(optimizer=dict(lr=0.05))
# With the 0.996 of a long training the momentum network would go a third of the way in 200 steps, and the online
# boxes would be taught to agree with those of a nearly random network.
custom_hooks = [dict(type="aligndet.MomentumHook", base=0.95)]
train_cfg = dict(_delete_=True, type="IterBasedTrainLoop", max_iters=200)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, by_epoch=False, begin=0, end=25),
    dict(type="CosineAnnealingLR", by_epoch=False, begin=25, end=200, T_max=175, eta_min_ratio=0.01),
]
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=50, max_keep_ckpts=1), logger=dict(interval=10))
log_processor = dict(by_epoch=False, window_size=10)
