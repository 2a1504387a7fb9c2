//! The command queue function on Lambda.

fn main() -> Result<(), lambda_runtime::Error> {
    command_queue::queue().run()
}
