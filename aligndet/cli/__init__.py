"""One command, ``aligndet``: a module per sub-command, none of which imports torch or an OpenMMLab package."""
