"""Watching: are the images that a server sees like those that the model learned from?"""
