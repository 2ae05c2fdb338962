"""Detection metrics in numpy.

Boxes are float (ymin, xmin, ymax, xmax). True and predicted boxes share a unit; relative and pixel
coordinates give the same values, because IoU does not change when an axis is scaled.
"""
