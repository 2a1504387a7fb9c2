//! The publisher function on Lambda.

use domains::Domains;

fn main() -> Result<(), lambda_runtime::Error> {
    publisher::run::<Domains>()
}
