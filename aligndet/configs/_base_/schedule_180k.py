# Steps of twice the schedule of finetune_90k.py.
schedule_180k = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=1000),
    dict(type="MultiStepLR", begin=0, end=180000, by_epoch=False, milestones=[120000, 160000], gamma=0.1),
]
