# The paper's recipe for set predictors (DETR): AdamW, 50 epochs, no warm-up, fewer proposals than queries.
# Its rate is 2e-4 for 64 images; this is for 8 x 2.
_base_ = "recipe_cnn.py"

train_cfg = dict(max_epochs=50)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type="AdamW", lr=5e-5, weight_decay=0.0001),
    clip_grad=dict(max_norm=0.1, norm_type=2),
)
param_scheduler = [dict(type="MultiStepLR", begin=0, end=50, by_epoch=True, milestones=[40], gamma=0.1)]
view = {{_base_.view}}
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="aligndet.LoadProposals"),
            dict(type="aligndet.SampleProposals", num=50),
            dict(type="aligndet.NumberProposals"),
            dict(type="mmdet.MultiBranch", branch_field=["online", "momentum"], online=view, momentum=view),
        ]
    )
)
