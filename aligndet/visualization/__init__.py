"""What people look at: proposals, two views with their matched boxes, loss curves."""
