//! The system as its users meet it.
fn main() {}
