"""Methods that give every voxel of a clip a raw, signed value."""
