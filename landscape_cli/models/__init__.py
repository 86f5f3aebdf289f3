"""Networks and closed forms, each a class a file; `base` makes surfaces of them."""
