//! The whole system over HTTP, with the template as it is deployed.

use deployment::deployment;
use domain::Domains;
use local::{
    openapi,
    testing::{TestSystem, assert_template},
};
use serde_json::{Value, json};

const OWNER: &str = "«kebab»s/write «kebab»s/read";

/// A valid body of `POST /«kebab»s`.
fn body() -> Value {
    json!({ "title": "The first" })
}

#[tokio::test]
async fn «a»_«snake»_is_opened_once_and_only_its_owner_can_read_it() {
    let system = TestSystem::start(deployment()).await;
    let alice = system.caller("alice", OWNER);
    let opened = alice.post("/«kebab»s", "first", body()).await.expect(201);
    let again = alice.post("/«kebab»s", "first", body()).await.expect(201);
    assert_eq!(again.document, opened.document);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));

    system.project().await;
    let path = opened.header("location").unwrap();
    let «snake» = alice.get(path).await.expect(200).document;
    assert_eq!((&«snake»["title"], &«snake»["status"]), (&body()["title"], &json!("open")));
    system.caller("bob", OWNER).get(path).await.expect(404);
    let totals = system.caller("root", "«kebab»s/admin").get("/totals").await.expect(200);
    assert_eq!(totals.document, json!({ "by_status": { "open": 1 } }));
}

#[tokio::test]
async fn the_example_events_are_answered() {
    let system = TestSystem::start(deployment()).await;
    let opened = system.invoke("command", include_str!("../../events/command.open.json")).await;
    let totals = system.invoke("query", include_str!("../../events/query.totals.json")).await;
    assert_eq!((&opened["statusCode"], &totals["statusCode"]), (&json!(201), &json!(200)));
}

#[test]
fn the_template_and_the_api_description_agree_with_the_code() {
    assert_template::<Domains>(&deployment());
    assert!(openapi::json(&deployment()).is_ok());
}
