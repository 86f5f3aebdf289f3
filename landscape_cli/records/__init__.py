"""Results: labelled arrays with their headline numbers and figures, a class a file."""
