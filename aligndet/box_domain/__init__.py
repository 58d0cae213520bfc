"""Stage 2: pre-train a whole detector, its backbone frozen, on boxes without labels."""

from .contrast import box_contrast
from .dataset import ProposalDataset
from .loading import LoadProposals, ProposalInstances
from .momentum import MomentumHook
from .pretrainer import BoxDomainPretrainer
from .slots import NO_INSTANCE, Slots
from .transforms import NumberProposals, PackView, SampleProposals

__all__ = [
    "NO_INSTANCE",
    "BoxDomainPretrainer",
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
