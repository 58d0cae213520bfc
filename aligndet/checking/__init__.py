"""Coverage: try box-domain pre-training on every config of the installed mmdet, and say what came of it."""
