"""From a pre-training checkpoint to a fine-tuned stock detector, and the question whether it helped."""
