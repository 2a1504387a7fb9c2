//! The list-orders function on Lambda.

fn main() -> Result<(), lambda_runtime::Error> {
    list_orders::function().run()
}
