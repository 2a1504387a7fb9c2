//! Replays the fuzzing corpus in `tests/fuzz`. No input may cause a panic.

use std::{
    cell::Cell,
    fs, panic,
    path::{Path, PathBuf},
    sync::Once,
};

thread_local! {
    /// Set by a panic on this thread, caught or not.
    static PANICKED: Cell<bool> = const { Cell::new(false) };
}

/// The files of the corpus for this target.
fn corpus(target: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

/// Replays the corpus of a target. A panic hook also detects panics that the projector catches.
fn replay(target: &str, decode: fn(&[u8])) {
    static INSTALL_HOOK: Once = Once::new();
    INSTALL_HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            PANICKED.set(true);
            before(panic);
        }));
    });
    let files = corpus(target);
    assert!((10..=200).contains(&files.len()), "{} files", files.len());
    for file in files {
        let bytes = fs::read(&file).unwrap();
        assert!(bytes.len() <= 4096, "{} is too large for the corpus", file.display());
        decode(&bytes);
        assert!(!PANICKED.get(), "{}", file.display());
    }
}

#[test]
fn no_request_body_of_the_corpus_makes_a_command_panic() {
    replay("body", fuzz::body);
}

#[test]
fn no_stream_record_of_the_corpus_makes_the_projector_panic() {
    replay("record", fuzz::record);
}

#[test]
fn no_cursor_of_the_corpus_makes_a_list_panic() {
    replay("cursor", fuzz::cursor);
}

#[test]
fn no_http_event_of_the_corpus_makes_a_function_panic() {
    replay("http_event", fuzz::http_event);
}

#[test]
fn no_stream_event_of_the_corpus_makes_the_projector_panic() {
    replay("stream_event", fuzz::stream_event);
}
