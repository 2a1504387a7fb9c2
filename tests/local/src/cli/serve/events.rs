//! `--events`: a line of JSON for each event that is put on a bus.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::Path,
    sync::Mutex,
};

use crate::Stack;

/// Writes the events of the stack to `file`, behind those that it has; `-` is standard output.
///
/// An event is written before its publisher knows that it is on the bus, so no event is missing after SIGKILL.
pub(super) fn write_events(stack: &Stack, file: &Path) -> Result<(), String> {
    if stack.engine().messaging().is_some() {
        return Err("--events needs the event buses of this process, not those of an emulator".to_owned());
    }
    let output: Box<dyn Write + Send> = if file == Path::new("-") {
        Box::new(io::stdout())
    } else {
        let file = OpenOptions::new().create(true).append(true).open(file);
        Box::new(file.map_err(|error| format!("--events: {error}"))?)
    };
    let output = Mutex::new(output);
    stack.messaging.on_event(move |_, event| {
        let mut output = output.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Err(error) = writeln!(output, "{event}").and_then(|()| output.flush()) {
            tracing::error!("writing an event failed: {error}");
        }
    });
    Ok(())
}
