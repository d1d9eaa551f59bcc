//! `cargo xtask NAME`: what the project does to itself.
fn main() {}
