"""Compiles, validates and submits the graph for Kubeflow Pipelines and Vertex AI."""
