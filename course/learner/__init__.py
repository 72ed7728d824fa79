"""A learner's copy of the lessons, their progress, and what the command line does with both."""
