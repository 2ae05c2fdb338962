"""Answers as DICOM: a structured report (TID 1500) that goes back into the patient's study.

Here, and nowhere else, identities go on: a report belongs to the patient and the study of the image
that it is about, so it names them as the image does. They reach no log, no error line, no file name
and no other output.
"""

from serving.dicom_out.algorithm import Algorithm, algorithm_of
from serving.dicom_out.report import Region, Result, make_report
from serving.dicom_out.writer import Reports

__all__ = ["Algorithm", "Region", "Reports", "Result", "algorithm_of", "make_report"]
