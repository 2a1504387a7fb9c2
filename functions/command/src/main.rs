//! The command function on Lambda.

fn main() -> Result<(), lambda_runtime::Error> {
    command::function().run()
}
