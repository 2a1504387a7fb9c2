//! The command function on Lambda.

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    functions::command::function().run()
}
