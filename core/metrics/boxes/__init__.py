"""Metrics of boxes, in numpy.

Boxes are float (ymin, xmin, ymax, xmax) in any unit that truth and prediction share; overlap does
not change when an axis is scaled, so relative boxes and boxes in pixels give the same numbers.
"""
