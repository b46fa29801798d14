"""The door: takes what came without its bucket's key, and sends it on to the member's bucket."""
