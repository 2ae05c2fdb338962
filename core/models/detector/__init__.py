"""Where the opacity is: a dense head over the trunk that finds centres and sizes of boxes."""
