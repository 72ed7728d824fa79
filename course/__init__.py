"""The helper library of *Fine-tuning from Zero*: what the lessons import."""
