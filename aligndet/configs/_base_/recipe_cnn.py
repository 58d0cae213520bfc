# The paper's recipe for detectors of one stage with convolutional heads (RetinaNet, FCOS): the schedule of
# pretrain_1x.py on the data of two_views.py. A pre-training config adds the model.
_base_ = ["two_views.py", "pretrain_1x.py"]
