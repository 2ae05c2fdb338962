"""The built-in server: TF Serving's REST and gRPC contract in one process, for a laptop or a test.

Starlette on uvicorn and grpc.aio share an event loop; requests of one signature are merged into
batches, which TensorFlow runs in a worker thread. It serves what this project exports: signatures
of one input, a list of byte strings. In production TF Serving serves the same folder.
"""
