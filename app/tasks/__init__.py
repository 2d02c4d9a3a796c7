"""Task heads: a model's arrays in, their meaning out. numpy only."""
