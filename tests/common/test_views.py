"""The preprocessor of two views: that of the detector, without labels of pixels."""

from aligndet.common.views import preprocessor_of_views


def test_masks_and_semantic_maps_are_not_padded_for_proposals_have_none() -> None:
    """A preprocessor, or a batch augmentation in it, that pads labels of pixels with the images.

    Large-scale jittering of mmdet's configs is of this kind.
    """
    filled = dict(type="BatchFixedSizePad", size=(96, 64), pad_mask=True, pad_seg=True, img_pad_value=7)
    own = dict(type="DetDataPreprocessor", mean=[1.0, 2.0], pad_mask=True, batch_augments=[filled])
    inner = preprocessor_of_views(own)["data_preprocessor"]
    assert inner["mean"] == [1.0, 2.0]
    assert inner["pad_mask"] is False
    expected = dict(type="BatchFixedSizePad", size=(96, 64), pad_mask=False, pad_seg=False, img_pad_value=7)
    assert inner["batch_augments"] == [expected]
    assert own["pad_mask"] is filled["pad_mask"] is True, "the user's config stays as it is"


def test_a_model_without_a_preprocessor_has_mmdets() -> None:
    assert preprocessor_of_views(None) == {
        "type": "mmdet.MultiBranchDataPreprocessor",
        "data_preprocessor": {"type": "mmdet.DetDataPreprocessor"},
    }
