//! The list-orders function on Lambda.

fn main() -> Result<(), lambda_http::Error> {
    list_orders::function().run()
}
