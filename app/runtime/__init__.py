"""ONNX Runtime: providers, threads, sessions; arrays in, arrays out."""
