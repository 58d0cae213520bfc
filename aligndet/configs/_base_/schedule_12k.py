# 12,000 iterations and their learning rate, with warm-up; for fine-tuning on label fractions.
loop_12k = dict(_delete_=True, type="IterBasedTrainLoop", max_iters=12000, val_interval=12000)
schedule_12k = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type="MultiStepLR", begin=0, end=12000, by_epoch=False, milestones=[9000, 11000], gamma=0.1),
]
