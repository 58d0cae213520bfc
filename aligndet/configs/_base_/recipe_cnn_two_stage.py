# The paper's recipe for detectors of two stages and cascades (Faster and Mask R-CNN): twice the rate.
_base_ = "recipe_cnn.py"

optim_wrapper = dict(optimizer=dict(lr=0.02))
