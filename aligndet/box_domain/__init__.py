"""Stage 2: pre-train a whole detector, its backbone frozen, on boxes without labels."""

from aligndet.box_domain.constructor import DetectorConstructor
from aligndet.box_domain.contrast import box_contrast
from aligndet.box_domain.data.dataset import ProposalDataset
from aligndet.box_domain.data.loading import LoadProposals, ProposalInstances
from aligndet.box_domain.data.transforms import ColourOfFloats, NumberProposals, PackView, SampleProposals
from aligndet.box_domain.momentum import MomentumHook
from aligndet.box_domain.pretrainer import BoxDomainPretrainer
from aligndet.box_domain.slots import NO_INSTANCE, Slots

__all__ = [
    "NO_INSTANCE",
    "BoxDomainPretrainer",
    "ColourOfFloats",
    "DetectorConstructor",
    "LoadProposals",
    "MomentumHook",
    "NumberProposals",
    "PackView",
    "ProposalDataset",
    "ProposalInstances",
    "SampleProposals",
    "Slots",
    "box_contrast",
]
