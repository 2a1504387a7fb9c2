//! The get-dashboard function on Lambda.

fn main() -> Result<(), lambda_runtime::Error> {
    get_dashboard::function().run()
}
