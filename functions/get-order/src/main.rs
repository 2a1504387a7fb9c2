//! The get-order function on Lambda.

fn main() -> Result<(), lambda_http::Error> {
    get_order::function().run()
}
