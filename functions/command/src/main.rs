//! The command function on Lambda.

fn main() -> Result<(), lambda_http::Error> {
    command::function().run()
}
