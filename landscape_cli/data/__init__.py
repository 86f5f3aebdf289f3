"""Data sets: each class is a source of examples whose `load` makes or reads them."""
