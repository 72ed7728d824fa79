"""A tamper-proof grader for nbgrader courses."""
