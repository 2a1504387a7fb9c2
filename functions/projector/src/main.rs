//! The projector function on Lambda.

use domains::Domains;

fn main() -> Result<(), lambda_runtime::Error> {
    projector::run::<Domains>()
}
