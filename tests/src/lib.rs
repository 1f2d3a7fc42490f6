//! Black-box tests of Tally; they are in `tests/`, this library is empty.
