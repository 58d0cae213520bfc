"""Selective search of our own: numpy and numba, no torch.

    segment.py      pixels -> first regions (Felzenszwalb and Huttenlocher)
    features.py     first regions -> sizes, boxes, histograms, borders
    similarity.py   how alike two regions are (colour, texture, size, fill)
    group.py        the most similar neighbours merge, until one region is left
    rank.py         all boxes of all hierarchies -> the best, best first
    search.py       the whole, in several colour spaces, scales and similarities

The loops are compiled by numba (kernel.py), release the GIL, and keep no state between calls.
"""
