"""The graph on Kubeflow Pipelines and on Vertex AI: compiled, checked, submitted."""
