//! The maintain function on Lambda.

use domain::Domains;

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    maintain::run::<Domains>()
}
