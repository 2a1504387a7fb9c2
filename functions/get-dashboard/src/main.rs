//! The get-dashboard function on Lambda.

use app::App;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let app = App::from_env()?;
    get_dashboard::warm_up(&app).await;
    lambda_http::run(get_dashboard::router(app)).await
}
