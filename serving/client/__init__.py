"""Client for TensorFlow Serving's REST and gRPC APIs; needs no TensorFlow.

Usage:
  with Client("grpc://host:8500") as client:
      for prediction in client.predict(images):
          print(prediction.file, prediction.decision, prediction.score)
"""

from serving.client.client import Client
from serving.client.errors import ClientError
from serving.client.images import Image

__all__ = ["Client", "ClientError", "Image"]
