"""Pictures that a learner plays with: ipywidgets, each with a plain figure behind it."""
