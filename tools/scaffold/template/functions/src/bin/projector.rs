//! The projector function on Lambda.

use domain::Domains;

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    projector::run::<Domains>()
}
