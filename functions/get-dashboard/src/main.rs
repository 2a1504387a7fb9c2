//! The get-dashboard function on Lambda.

fn main() -> Result<(), lambda_http::Error> {
    get_dashboard::function().run()
}
