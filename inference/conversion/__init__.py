"""Models of other libraries as ONNX graphs, by `python -m inference.conversion`."""
