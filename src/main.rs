//! Argv and environment in, exit code out; everything else stands behind the library.

fn main() {}
