//! Lists, pages, cursors and entity tags.

use std::collections::BTreeSet;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::harness::{System, TestCaller, TestResponse, canary};

fn ids(list: &TestResponse) -> Vec<String> {
    let rows = list.document["orders"].as_array().unwrap();
    rows.iter().map(|row| row["order_id"].as_str().unwrap().to_owned()).collect()
}

/// All pages of a list, one after the other.
async fn all_pages(caller: &TestCaller<'_>, path: &str) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = caller.get(format!("{path}{cursor}")).await.expect(200);
        pages.push(ids(&page));
        match &page.document["next_cursor"] {
            Value::String(next) => {
                canary::record("cursor", &String::from_utf8_lossy(&BASE64_URL_SAFE_NO_PAD.decode(next).unwrap()));
                cursor = format!("&cursor={next}");
            }
            Value::Null => return pages,
            other => panic!("{other}"),
        }
    }
}

/// Places this number of orders. Returns their ids, newest first.
async fn place(caller: &TestCaller<'_>, number: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..number {
        ids.push(caller.places_order(&format!("order-{number}")).await);
    }
    ids.reverse();
    ids
}

#[tokio::test]
async fn a_list_is_newest_first_with_fifty_rows_a_page() {
    let system = System::start().await;
    let alice = system.customer("alice");
    let placed = place(&alice, 120).await;
    system.project().await;
    let pages = all_pages(&alice, "/customers/alice/orders?").await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [50, 50, 20]);
    assert_eq!(pages.concat(), placed);
    let pages = all_pages(&alice, "/customers/alice/orders?limit=40").await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [40, 40, 40]);
    assert_eq!(pages.concat(), placed);
    assert_eq!(ids(&alice.get("/customers/alice/orders?limit=100").await.expect(200)), placed[..100]);
}

#[tokio::test]
async fn a_list_shows_only_the_orders_of_its_customer() {
    let system = System::start().await;
    let placed = place(&system.customer("alice"), 2).await;
    place(&system.customer("bob"), 3).await;
    system.project().await;
    assert_eq!(ids(&system.customer("alice").get("/customers/alice/orders").await.expect(200)), placed);
    let empty = system.operator().get("/customers/nobody/orders").await.expect(200);
    assert_eq!(empty.document, json!({ "orders": [], "next_cursor": null }));
}

#[tokio::test]
async fn a_filtered_list_has_full_pages() {
    let system = System::start().await;
    let alice = system.customer("alice");
    let placed = place(&alice, 250).await;
    let mut cancelled = Vec::new();
    for id in placed.iter().step_by(5) {
        alice.cancels(id).await;
        cancelled.push(id.clone());
    }
    system.project().await;
    let pages = all_pages(&alice, "/customers/alice/orders?status=cancelled&limit=20").await;
    assert_eq!(pages.concat(), cancelled);
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [20, 20, 10]);
    assert_eq!(all_pages(&alice, "/customers/alice/orders?status=shipped").await.concat(), [""; 0]);
}

#[tokio::test]
async fn paging_skips_and_repeats_no_row_while_rows_change() {
    let system = System::start().await;
    let alice = system.customer("alice");
    let placed = place(&alice, 60).await;
    system.project().await;
    let mut seen = Vec::new();
    let mut cursor = String::new();
    for (round, changed) in placed.iter().enumerate() {
        let page = alice.get(format!("/customers/alice/orders?limit=7{cursor}")).await.expect(200);
        seen.extend(ids(&page));
        alice.places_order(&format!("late-{round}")).await;
        alice.cancels(changed).await;
        system.project().await;
        match page.document["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, placed);
}

#[tokio::test]
async fn a_cursor_is_valid_only_for_its_own_list() {
    let system = System::start().await;
    let (alice, operator) = (system.customer("alice"), system.operator());
    place(&alice, 3).await;
    place(&system.customer("bob"), 3).await;
    system.project().await;
    let page = alice.get("/customers/alice/orders?limit=1").await.expect(200);
    let cursor = page.text("next_cursor");
    alice.get(format!("/customers/alice/orders?cursor={cursor}")).await.expect(200);
    alice.get(format!("/customers/alice/orders?status=placed&cursor={cursor}")).await.expect(400);
    operator.get(format!("/customers/alice/orders?cursor={cursor}")).await.expect(400);
    system.customer("bob").get(format!("/customers/bob/orders?cursor={cursor}")).await.expect(400);
    for garbled in ["x", "AAAAAAAAAAAAAAAAAAAA", "", &cursor[1..], &format!("{cursor}A"), "%FF", "a%20b"] {
        let refused = alice.get(format!("/customers/alice/orders?cursor={garbled}")).await;
        refused.expect_problem(400, "malformed-request");
    }
    // The digest of a cursor needs no secret. A forged cursor with an invalid position is refused, too.
    let list = app::Cursor { list: &["order-summaries", "by-customer", "alice", "alice", ""] };
    for nonsense in [&["2026-11-22T10:00:00Z"][..], &["", ""], &["2026-11-22T10:00:00Z", "1", "2"], &[]] {
        let cursor = list.after(&nonsense.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>());
        alice.get(format!("/customers/alice/orders?cursor={cursor}")).await.expect_problem(400, "malformed-request");
    }
}

#[tokio::test]
async fn an_invalid_unknown_or_repeated_parameter_is_refused() {
    let system = System::start().await;
    let id = system.customer("alice").places_order("first").await;
    let operator = system.operator();
    for query in [
        "limit=0",
        "limit=-1",
        "limit=1000000000",
        "limit=101",
        "limit=abc",
        "limit=",
        "limit=+5",
        "limit=5&limit=5",
        "page=2",
        "status=Placed",
        "status=",
        "min_version=1",
        "min_version=x:1",
        &format!("min_version={id}:0"),
        &format!("min_version={id}:01"),
        &format!("min_version={id}:"),
    ] {
        let refused = operator.get(format!("/customers/alice/orders?{query}")).await;
        refused.expect_problem(400, "malformed-request");
    }
    for query in ["min_version=0", "min_version=-1", "min_version=a", "limit=1", "min_version=1&min_version=1"] {
        operator.get(format!("/orders/{id}?{query}")).await.expect_problem(400, "malformed-request");
    }
    operator.get(format!("/orders/{id}/events?min_version=1")).await.expect(400);
    for query in ["days=0", "days=91", "days=x", "months=1", "days=1&days=1"] {
        operator.get(format!("/dashboard?{query}")).await.expect_problem(400, "malformed-request");
    }
}

#[tokio::test]
async fn a_current_entity_tag_gets_304_without_a_body() {
    let system = System::start().await;
    let alice = system.customer("alice");
    let id = alice.places_order("first").await;
    system.project().await;
    for path in [format!("/orders/{id}"), format!("/orders/{id}/events")] {
        let tagged = |tag: &str| alice.get(&path).header("If-None-Match", tag);
        let current = alice.get(&path).await.expect(200).header("etag").unwrap().to_owned();
        for tag in [&current, &format!("W/{current}"), &format!("\"7\", {current}"), "*"] {
            let answer = tagged(tag).await.expect(304);
            assert_eq!((answer.header("etag"), &answer.document), (Some(current.as_str()), &Value::Null));
        }
        // "1" is the tag of a command's answer, not of a view. The versions 7 and 9007199254740992 do not exist.
        for tag in ["\"1\"", "\"1-s0\"", "\"1-s1-behind\"", "\"1-e00000000\"", "\"7-s1\"", "\"9007199254740992\""] {
            assert_eq!(tagged(tag).await.expect(200).header("etag"), Some(current.as_str()), "{tag}");
        }
    }
}

#[tokio::test]
async fn the_dashboard_counts_by_day() {
    let system = System::start().await;
    let alice = system.customer("alice");
    place(&alice, 2).await;
    system.clock.advance_ms(24 * 3_600_000);
    let late = alice.places_order("late").await;
    system.clock.advance_ms(24 * 3_600_000);
    alice.cancels(&late).await;
    system.project().await;
    let dashboard = system.operator().get("/dashboard?days=3").await.expect(200).document;
    assert_eq!(
        dashboard["days"],
        json!([
            { "date": "2026-11-24", "orders": 0, "revenue": {} },
            { "date": "2026-11-23", "orders": 1, "revenue": {} },
            { "date": "2026-11-22", "orders": 2, "revenue": { "EUR": "5600" } },
        ])
    );
    let whole = system.operator().get("/dashboard").await.expect(200).document;
    assert_eq!(whole["days"].as_array().unwrap().len(), 30);
    let dates: BTreeSet<_> = whole["days"].as_array().unwrap().iter().map(|day| day["date"].to_string()).collect();
    assert_eq!(dates.len(), 30);
}
