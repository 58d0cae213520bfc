"""Labels of every kind, read by one reader: :func:`.reader.read_labels`."""
