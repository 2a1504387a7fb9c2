//! The maintain function on Lambda.

use domains::Domains;

fn main() -> Result<(), lambda_runtime::Error> {
    maintain::run::<Domains>()
}
