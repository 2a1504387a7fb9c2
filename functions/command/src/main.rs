//! The command function on Lambda.

use app::App;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let app = App::from_env()?;
    app.warm_up().await;
    lambda_http::run(command::router(app)).await
}
