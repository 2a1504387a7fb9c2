//! Shuts the process down after a signal.

use std::{io, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    time,
};

/// The time that requests in progress have to complete after the first signal. Without a limit, a client that has sent
/// only a part of its request would keep the process alive.
const GRACE: Duration = Duration::from_millis(1500);

/// Counts the signals Ctrl-C and SIGTERM.
#[derive(Clone, Debug)]
pub(super) struct Shutdown(watch::Receiver<usize>);

impl Shutdown {
    /// Handles the signals from now on.
    ///
    /// # Errors
    /// If the operating system refuses a handler.
    pub(super) fn on_signals() -> io::Result<Self> {
        let signals = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let (sender, receiver) = watch::channel(0);
        tokio::spawn(count(signals, sender));
        Ok(Self(receiver))
    }

    /// Waits for the first signal.
    pub(super) fn first_signal(&self) -> impl Future<Output = ()> + use<> {
        let mut signals = self.0.clone();
        async move {
            let _ = signals.wait_for(|count| *count > 0).await;
        }
    }

    /// Waits until the process must end: [`GRACE`] after the first signal, or at the second signal.
    pub(super) async fn deadline(&self) {
        self.first_signal().await;
        let mut signals = self.0.clone();
        let _ = time::timeout(GRACE, signals.wait_for(|count| *count > 1)).await;
    }
}

async fn count((mut interrupt, mut terminate): (Signal, Signal), count: watch::Sender<usize>) {
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        count.send_modify(|count| *count += 1);
    }
}
