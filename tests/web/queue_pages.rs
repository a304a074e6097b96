//! Pages of jobs and workers, and the streams that keep pages current.

use super::visit::{Shop, Visit, assert_clean, words};
use crate::api::App;
use std::time::Duration;
use tuberry_storage::users::Role;

/// Waits for so many `change` events.
async fn changes(stream: &mut reqwest::Response, wanted: usize) {
    let mut seen = 0;
    while seen < wanted {
        let chunk =
            tokio::time::timeout(Duration::from_secs(20), stream.chunk()).await.expect("a change in time").unwrap().unwrap();
        seen += String::from_utf8_lossy(&chunk).matches("event: change\ndata: ").count();
    }
}

#[tokio::test]
async fn streams_tell_of_changes() {
    let app = App::start().await;
    let shop = Shop::open(&app, "-1001", "Анна").await;
    let owner = Visit::of(&app, Role::Owner, Some(shop.owner.client)).await;
    let platform = Visit::of(&app, Role::Admin, None).await;
    let mut list = owner.listen("/client/dialogs/live?waiting=1").await;
    let mut dialog = owner.listen(&format!("/client/dialogs/{}/live", shop.dialog)).await;
    let mut jobs = owner.listen("/admin/jobs/live").await;
    let mut workers = platform.listen("/admin/workers/live").await;
    for stream in [&mut list, &mut dialog, &mut jobs, &mut workers] {
        changes(stream, 1).await;
    }
    let id = shop.mirror(&app).await;
    for stream in [&mut list, &mut dialog, &mut jobs, &mut workers] {
        changes(stream, 1).await;
    }
    let mut job = owner.listen(&format!("/admin/jobs/{id}/live")).await;
    changes(&mut job, 1).await;
    let token = owner.token().await;
    owner.call("POST", &format!("/api/jobs/{id}/cancel"), Some(&token), r#"{"reason": "не нужно"}"#).await.ok(200);
    for stream in [&mut job, &mut jobs] {
        changes(stream, 1).await;
    }
    let page = owner.open(&format!("/admin/jobs/{id}")).await.text;
    assert!(page.contains("отменено вручную: не нужно"));
    owner.call("DELETE", &format!("/api/jobs/{id}"), Some(&token), "").await.ok(204);
    changes(&mut job, 1).await;
}

#[tokio::test]
async fn the_dashboard_shows_what_matches_and_retries_it() {
    let app = App::start().await;
    let shop = Shop::open(&app, "-1001", "Анна").await;
    let (lost, refused) = (shop.dead(&app, "связь потеряна").await, shop.dead(&app, "отказано").await);
    let waiting = shop.mirror(&app).await;
    let owner = Visit::of(&app, Role::Owner, Some(shop.owner.client)).await;
    let found = async |query: &str| {
        let page = owner.open(&format!("/admin/jobs{query}")).await.ok(200).text;
        [&lost, &refused, &waiting].map(|id| page.contains(&format!("id=\"job-{id}\"")))
    };
    assert_eq!(found("").await, [true, true, true]);
    assert_eq!(found("?state=dead").await, [true, true, false]);
    assert_eq!(found("?error=%D1%81%D0%B2%D1%8F%D0%B7%D1%8C").await, [true, false, false]);
    assert_eq!(found(&format!("?dialog={}&account={}&kind=mirror-message", shop.dialog, shop.account)).await, [true, true, true]);
    assert_eq!(found("?kind=send-reply").await, [false, false, false]);
    let page = owner.open("/admin/jobs?error=%D1%81%D0%B2%D1%8F%D0%B7%D1%8C").await.text;
    assert!(page.contains("<svg") && page.contains("class=\"dead\""), "the chart shows what died");
    let order = page.split_once("id=\"retry-all\"").unwrap().1.split_once("data-body=\"").unwrap().1.split_once('"').unwrap().0;
    let order = order.replace("&quot;", "\"");
    let token = owner.token().await;
    let answer = owner.call("POST", "/api/jobs/retry", Some(&token), &order).await.ok(200).json();
    assert_eq!(answer["retried"], 1);
    assert_eq!(found("?state=dead").await, [false, true, false]);
    let held = owner.open(&format!("/admin/jobs/{waiting}")).await.text;
    assert!(held.contains(&format!("href=\"/admin/jobs/{lost}\"")), "it waits for the one before it");
    let dead = owner.open(&format!("/admin/jobs/{refused}")).await.text;
    assert_eq!(dead.matches("Запуск ").count(), 3);
    assert!(dead.contains(&format!("data-call=\"/api/jobs/{refused}/retry\"")) && !dead.contains("/cancel\""));
}

#[tokio::test]
async fn the_workers_page_tells_who_serves_and_what_nobody_serves() {
    let app = App::start().await;
    let shop = Shop::open(&app, "-1001", "Анна").await;
    let platform = Visit::of(&app, Role::Admin, None).await;
    let empty = platform.open("/admin/workers").await.ok(200).text;
    assert!(empty.contains("Обработчиков нет") && empty.contains("никем не взят"));
    let account = app.account(&shop.owner, shop.project).await;
    app.execute(&format!(
        "insert into personal_telegram_workers (name, host, pid, capacity, weight, seen_at) values
           ('alive', 'host-a', 1, 1, 3, now() + interval '1 hour'), ('silent', 'host-b', 2, 7, 1, now() - interval '1 minute');
         insert into personal_telegram_leases (class, object, owner, renewed_at) values
           (7101, {account}, 'silent', now() - interval '1 minute'), (7101, {}, 'alive', now() + interval '1 hour');
         update personal_telegram_accounts set display_name = 'Брошенный' where id = {account}",
        shop.account
    ))
    .await;
    shop.mirror(&app).await;
    let page = platform.open("/admin/workers").await.ok(200).text;
    assert_clean("/admin/workers", &page);
    let words = words(&page);
    for wanted in [
        "alive",
        "host-a · pid 1",
        "работает",
        "молчит",
        "Брошенный",
        "1 аккаунт без обработчика",
        "не хватает мест: 1",
        "Сообщение в тему",
    ] {
        assert!(words.contains(&wanted), "{wanted}: {words:?}");
    }
    assert!(!page.contains("никем не взят"));
}
