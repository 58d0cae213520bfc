# SimSiam, ResNet-18, on some thousand images of one's own: one process, batch 64.
#
# aligndet train aligndet::image_domain/simsiam_r18_folder.py --cfg-options train_dataloader.dataset.data_root=IMAGES
# aligndet backbone convert work_dirs/simsiam_r18_folder backbone.pth --config YOUR_DETECTOR.py
#
# For another batch size change ``batch_size`` here; the learning rate follows.
_base_ = "simsiam_r18.py"

batch_size = 64
epochs = 200
lr = 0.05 * batch_size / 256

train_dataloader = dict(batch_size=batch_size, num_workers=4, dataset=dict(data_root="data/images/"))
optim_wrapper = dict(optimizer=dict(lr=lr))
param_scheduler = [dict(type="CosineAnnealingLR", T_max=epochs, by_epoch=True, begin=0, end=epochs)]
train_cfg = dict(max_epochs=epochs)
custom_hooks = [dict(type="SimSiamHook", priority="HIGH", fix_pred_lr=True, lr=lr)]
default_hooks = dict(logger=dict(interval=10))
