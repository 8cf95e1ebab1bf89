"""Networks that no maintained library ships, each one implementation for full and small sizes."""
