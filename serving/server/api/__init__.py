"""TF Serving's REST and gRPC contracts."""
