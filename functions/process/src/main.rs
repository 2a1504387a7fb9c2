//! The process function on Lambda.

use orders::ShippingDeadline;

fn main() -> Result<(), lambda_runtime::Error> {
    process::run::<ShippingDeadline>()
}
