"""The rules of the books: pure, total, without I/O and without a clock.

`decide` takes a member's state, one request and a time, changes the state and says what came of
it. Everything else here is what it decides with. A business fact is never an exception.
"""
