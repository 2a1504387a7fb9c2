//! The query function on Lambda.

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    functions::query::function().run()
}
