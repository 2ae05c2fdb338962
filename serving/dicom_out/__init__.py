"""Predictions as DICOM structured reports (TID 1500) for the study of the image.

Only these reports contain patient identities, copied from the image, because they belong to its
patient and study. Logs, errors and all other outputs contain none; the name of a report repeats
the name of its input file.
"""

from serving.dicom_out.algorithm import Algorithm, identify_algorithm
from serving.dicom_out.content import Region, ReportContent
from serving.dicom_out.report import make_report
from serving.dicom_out.writer import ReportWriter

__all__ = [
    "Algorithm",
    "Region",
    "ReportContent",
    "ReportWriter",
    "identify_algorithm",
    "make_report",
]
