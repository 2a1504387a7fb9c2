//! The maintain function on Lambda.

use app::App;
use lambda_runtime::{Error, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    maintain::projector(&app)?;
    app.warm_up().await;
    run(service_fn(|event| maintain::handle(&app, event))).await
}
