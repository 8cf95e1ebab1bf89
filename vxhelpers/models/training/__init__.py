"""From a task to weights with a model card."""
