"""Networks: backbones, heads, augmentation, detector, explanation."""
