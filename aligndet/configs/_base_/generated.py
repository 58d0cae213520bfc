# What a config generated from any stock detector adds to its recipe, because the paper did not train that one:
# gradients are clipped where the recipe does not clip them, and a head may leave a layer out of a step.
optim_wrapper = dict(clip_grad=dict(max_norm=35, norm_type=2))
find_unused_parameters = True
