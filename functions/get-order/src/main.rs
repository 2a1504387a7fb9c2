//! The get-order function on Lambda.

use app::App;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let app = App::from_env()?;
    app.warm_up().await;
    lambda_http::run(get_order::router(app)).await
}
