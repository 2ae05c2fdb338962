"""Client of TF Serving's contract, over gRPC and REST, that needs no TensorFlow.

Usage:
  with Client("grpc://host:8500") as client:
      for answer in client.predict(images):
          print(answer.file, answer.decision, answer.score)
"""

from serving.client.client import Client
from serving.client.errors import ClientError
from serving.client.images import Image

__all__ = ["Client", "ClientError", "Image"]
