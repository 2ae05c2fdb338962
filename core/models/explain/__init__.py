"""Where a network sees what it answers: heat maps, and boxes around their hot places."""
