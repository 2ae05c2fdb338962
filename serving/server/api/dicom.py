"""Renders the DICOM files that are dropped on the web page, because a browser cannot."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from grpc import StatusCode

from core.images.dicom.read import require_pydicom
from schema.errors import PneumoError
from serving.predict.dicom import render
from serving.server.errors import ServeError, invalid


class DicomRenderer:
    """Renders one file at a time, because a large one takes a gigabyte of memory.

    Args:
      seconds: deadline of a file, including the files before it.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="dicom")

    async def png(self, content: bytes) -> bytes:
        """Returns the PNG that `pneumo predict` sends for a DICOM file.

        Raises:
          ServeError: UNIMPLEMENTED, pydicom is missing; INVALID_ARGUMENT (422), the file is
            rejected; DEADLINE_EXCEEDED.
        """
        try:
            require_pydicom()
        except PneumoError as error:
            raise ServeError(StatusCode.UNIMPLEMENTED, str(error)) from None
        rendering = asyncio.get_running_loop().run_in_executor(self._thread, render, content)
        try:
            async with asyncio.timeout(self._seconds):
                return (await rendering).png
        except PneumoError as error:
            raise invalid(str(error), 422) from None
        except TimeoutError:
            message = f"the DICOM file was not rendered within {self._seconds:.3g} seconds"
            raise ServeError(StatusCode.DEADLINE_EXCEEDED, message) from None
