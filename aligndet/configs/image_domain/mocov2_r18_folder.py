# MoCo v2, ResNet-18, on some thousand images of one's own: one process, batch 64, few keys.
#
# aligndet train aligndet::image_domain/mocov2_r18_folder.py --cfg-options train_dataloader.dataset.data_root=IMAGES
# aligndet backbone convert work_dirs/mocov2_r18_folder backbone.pth --config YOUR_DETECTOR.py
#
# ``queue_len`` must be a multiple of the whole batch (all GPUs) and well below the number of images, or an image
# meets old keys of its own among the negatives.
_base_ = "mocov2_r18.py"

batch_size = 64
epochs = 200

model = dict(queue_len=1024)
train_dataloader = dict(batch_size=batch_size, num_workers=4, dataset=dict(data_root="data/images/"))
optim_wrapper = dict(optimizer=dict(lr=0.03 * batch_size / 256))
param_scheduler = [dict(type="CosineAnnealingLR", T_max=epochs, by_epoch=True, begin=0, end=epochs)]
train_cfg = dict(max_epochs=epochs)
default_hooks = dict(logger=dict(interval=10))
