"""Where the opacity is: a dense head over the backbone that finds centres and sizes of boxes."""
