//! The get-order function on Lambda.

fn main() -> Result<(), lambda_runtime::Error> {
    get_order::function().run()
}
