"""One command, ``aligndet``: a module for each sub-command; none imports torch at the top."""
