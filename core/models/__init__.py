"""Networks: backbones, heads, losses, augmentation, detector, explanation."""
