"""Built-in model server with TensorFlow Serving's REST and gRPC APIs, for laptops, demos and tests.

Starlette on uvicorn and grpc.aio share an event loop. Requests for the same signature are merged
into batches, which TensorFlow computes in a worker thread. Supports signatures with one input of
byte strings, as this project exports them. In production, use TensorFlow Serving.
"""
