"""Between messages and rules: what a delivery says, and what outcomes look like when sent."""
