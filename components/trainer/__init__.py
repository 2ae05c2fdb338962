"""Transfer learning: a frozen backbone, a small head, and what is exported of them."""
