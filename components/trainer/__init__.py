"""Transfer learning: a frozen trunk, a small head, and what is exported of them."""
