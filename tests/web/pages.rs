//! Pages over HTTP, without a browser: who sees what, and what every page promises.

use super::visit::{PASSWORD, Shop, Visit, assert_clean, words};
use crate::api::App;
use tuberry_storage::users::Role;

#[tokio::test]
async fn each_page_is_there_for_those_whom_it_is_for() {
    let app = App::start().await;
    let shop = Shop::open(&app, "-1001", "Анна").await;
    let job = shop.mirror(&app).await;
    let owner = Visit::of(&app, Role::Owner, Some(shop.owner.client)).await;
    let admin = Visit::of(&app, Role::Admin, Some(shop.owner.client)).await;
    let manager = Visit::of(&app, Role::Manager, Some(shop.owner.client)).await;
    let platform = Visit::of(&app, Role::Admin, None).await;
    let (dialog, job) = (format!("/client/dialogs/{}", shop.dialog), format!("/admin/jobs/{job}"));
    for (path, wanted) in [
        ("/client", [200, 200, 200, 303]),
        ("/client/dialogs", [200, 200, 200, 303]),
        (dialog.as_str(), [200, 200, 200, 303]),
        ("/admin/jobs", [200, 200, 403, 200]),
        (job.as_str(), [200, 200, 403, 200]),
        ("/admin/workers", [403, 403, 403, 200]),
        ("/client/dialogs/999999", [404, 404, 404, 303]),
        ("/client/dialogs/x", [404, 404, 404, 303]),
        ("/admin/jobs/01ARZ3NDEKTSV4RRFFQ69G5FAV", [404, 404, 403, 404]),
        ("/admin/jobs/x", [404, 404, 403, 404]),
    ] {
        for (who, status) in [&owner, &admin, &manager, &platform].into_iter().zip(wanted) {
            let page = who.open(path).await.ok(status);
            let policy = page.headers["content-security-policy"].to_str().unwrap();
            assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
            assert_clean(path, &page.text);
        }
        let nobody = app.client.get(format!("{}{path}", app.base)).send().await.unwrap();
        assert!(nobody.url().path() == "/sign-in", "{path}: {}", nobody.url());
    }
    // What a manager may not do is not shown to him.
    assert!(!manager.open("/client/dialogs").await.text.contains("/admin/jobs"));
    // Pausing a kind is the platform's business.
    assert!(!owner.open("/admin/jobs").await.text.contains("/pause"));
    assert!(platform.open("/admin/jobs").await.text.contains("/api/jobs/kinds/mirror-message/pause"));
    for stranger in [Visit::of(&app, Role::Owner, None).await, Visit::of(&app, Role::Manager, None).await] {
        for path in ["/client/dialogs", "/admin/jobs", "/admin/workers"] {
            stranger.open(path).await.ok(403);
        }
    }
}

#[tokio::test]
async fn nothing_of_another_tenant_is_shown() {
    let app = App::start().await;
    let (ours, theirs) = (Shop::open(&app, "-1001", "Анна").await, Shop::open(&app, "-1002", "Тайна").await);
    app.execute(&format!("update personal_telegram_accounts set display_name = 'Секрет' where id = {}", theirs.account)).await;
    app.execute(&format!("update projects set name = 'Секрет' where id = {}", theirs.project)).await;
    let (our_job, their_job) = (ours.dead(&app, "нет связи").await, theirs.dead(&app, "Тайна").await);
    let us = Visit::of(&app, Role::Owner, Some(ours.owner.client)).await;
    let them = Visit::of(&app, Role::Admin, Some(theirs.owner.client)).await;
    let token = them.token().await;
    them.call("POST", &format!("/api/jobs/{their_job}/retry"), Some(&token), "").await.ok(204);
    for path in [
        "/client/dialogs".to_owned(),
        format!("/client/dialogs?project={}", theirs.project),
        format!("/client/dialogs?account={}", theirs.account),
        "/client/dialogs?name=%D0%A2%D0%B0%D0%B9%D0%BD%D0%B0".into(),
        "/admin/jobs".into(),
        format!("/admin/jobs?dialog={}", theirs.dialog),
        format!("/admin/jobs?account={}", theirs.account),
        format!("/admin/jobs/{our_job}"),
    ] {
        let page = us.open(&path).await.ok(200).text;
        let foreign = [their_job.as_str(), "Секрет", &format!("href=\"/client/dialogs/{}\"", theirs.dialog)];
        assert!(!foreign.iter().any(|foreign| page.contains(foreign)), "{path}");
        assert!(!words(&page).contains(&"Тайна"), "{path}");
    }
    for path in [format!("/client/dialogs/{}", theirs.dialog), format!("/admin/jobs/{their_job}")] {
        us.open(&path).await.ok(404);
        us.open(&format!("{path}/live")).await.ok(404);
        them.open(&path).await.ok(200);
    }
    // The platform's administrator sees both; a tenant does not learn who that is.
    let platform = Visit::of(&app, Role::Admin, None).await;
    let all = platform.open("/admin/jobs").await.text;
    assert!(all.contains(&our_job) && all.contains(&their_job));
    let token = platform.token().await;
    platform.call("POST", &format!("/api/jobs/{our_job}/retry"), Some(&token), "").await.ok(204);
    let seen = us.open(&format!("/admin/jobs/{our_job}")).await.text;
    assert!(words(&seen).contains(&"администратор платформы"));
}

#[tokio::test]
async fn a_cookie_alone_changes_nothing() {
    let app = App::start().await;
    let shop = Shop::open(&app, "-1001", "Анна").await;
    let job = shop.dead(&app, "нет связи").await;
    let owner = Visit::of(&app, Role::Owner, Some(shop.owner.client)).await;
    let other = Visit::of(&app, Role::Owner, Some(shop.owner.client)).await;
    let (account, retry) = (format!("/api/personal-telegram-accounts/{}", shop.account), format!("/api/jobs/{job}/retry"));
    let body = r#"{"accepts_groups": true}"#;
    let before = app.fingerprint().await;
    for token in [None, Some(""), Some("x"), Some(other.token().await.as_str())] {
        owner.call("PATCH", &account, token, body).await.problem(403);
        owner.call("POST", &retry, token, "").await.problem(403);
    }
    assert_eq!(app.fingerprint().await, before);
    let token = owner.token().await;
    owner.call("PATCH", &account, Some(&token), body).await.ok(200);
    owner.call("POST", &retry, Some(&token), "").await.ok(204);
    let page = owner.open(&format!("/admin/jobs/{job}")).await.text;
    assert!(words(&page).contains(&"готово") && words(&page).contains(&"Повтор"));
}

#[tokio::test]
async fn a_password_is_changed_and_what_cannot_be_one_is_refused_with_the_reason() {
    let app = App::start().await;
    let owner = Visit::of(&app, Role::Owner, Some(app.owner().await.client)).await;
    let token = owner.token().await;
    let new = "ромашка123";
    let long = "x".repeat(257);
    for (csrf, old, new, again, status, says) in [
        ("x", PASSWORD, new, new, 422, "обновите"),
        (&token, PASSWORD, "ромашка12", "ромашка12", 422, "не меньше 10 символов"),
        (&token, PASSWORD, &long, &long, 422, "не больше 256 символов"),
        (&token, PASSWORD, new, "ромашка124", 422, "не совпадают"),
        (&token, "wrong horse", new, new, 422, "неверен"),
        (&token, PASSWORD, new, new, 200, "Пароль изменён"),
        (&token, PASSWORD, new, new, 422, "неверен"),
    ] {
        let fields = [("csrf", csrf), ("old", old), ("new", new), ("again", again)];
        let page = owner.submit("/password", &fields).await.ok(status).text;
        assert!(words(&page).iter().any(|text| text.contains(says)), "{new}: {:?}", words(&page));
    }
}

#[tokio::test]
async fn full_pages_are_small_and_lead_to_the_next_ones() {
    let app = App::start().await;
    let shop = Shop::open(&app, "-1001", "Анна").await;
    for number in 0..60 {
        let dialog = app.dialog(&shop.owner, shop.bot, shop.account, 1000 + number, 5).await;
        app.message(dialog, &"Длинное сообщение. ".repeat(40)).await;
    }
    app.execute(&format!(
        "update dialogs set external_display_name = repeat('Ы', 60), external_username = repeat('u', 32) where id <> {}",
        shop.dialog
    ))
    .await;
    for _ in 0..60 {
        shop.dead(&app, &"Telegram не отвечает. ".repeat(40)).await;
    }
    for _ in 0..8 {
        app.message(shop.dialog, &"я".repeat(4096)).await;
    }
    let owner = Visit::of(&app, Role::Owner, Some(shop.owner.client)).await;
    let platform = Visit::of(&app, Role::Admin, None).await;
    let dialog = format!("/client/dialogs/{}", shop.dialog);
    for (who, path) in
        [(&owner, "/client/dialogs"), (&owner, dialog.as_str()), (&owner, "/admin/jobs"), (&platform, "/admin/jobs")]
    {
        let page = who.open(path).await.ok(200).text;
        assert_clean(path, &page);
        let (link, rows) = if path == dialog { ("id=\"older\"", "<li class=\"message") } else { ("id=\"more\"", "<li><a") };
        assert!(page.contains(link), "{path}");
        assert!(path == dialog || page.matches(rows).count() >= 50, "{path}");
    }
    // Page by page, every dialog and every message once.
    for (first, row, link, all) in
        [("/client/dialogs", "<a id=\"dialog-", "id=\"more\"", 61), (&dialog, "data-id=\"", "id=\"older\"", 68)]
    {
        assert_eq!(each_once(&owner, first, row, link).await, all, "{first}");
    }
}

/// Goes through the pages that begin with `first`, all of them small, and counts what follows `row` up to the next quotation mark: each once.
async fn each_once(visit: &Visit, first: &str, row: &str, link: &str) -> usize {
    let (mut path, mut seen) = (first.to_owned(), Vec::new());
    loop {
        let page = visit.open(&path).await.ok(200).text;
        assert_clean(&path, &page);
        seen.extend(page.split(row).skip(1).map(|part| part.split('"').next().unwrap().to_owned()));
        let Some((_, rest)) = page.split_once(link) else { break };
        path = rest.split('"').nth(1).unwrap().replace("&amp;", "&");
    }
    let count = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(count, seen.len(), "{first}: {seen:?}");
    count
}

#[tokio::test]
async fn hundreds_of_accounts_and_projects_are_shown_page_by_page() {
    let app = App::start().await;
    let shop = Shop::open(&app, "-1001", "Анна").await;
    let client = shop.owner.client;
    app.execute(&format!(
        "insert into personal_telegram_accounts (created_at, client_id, project_id, display_name, username, phone, telegram_user_id, status, last_error,
                                                 accepts_private, accepts_groups, accepts_channels)
         select now() at time zone 'utc', {client}, {}, repeat('Ё', 250) || n, 'user' || n, '7999' || lpad(n::text, 7, '0'), n,
                (case when n % 50 = 0 then 'error' else 'active' end)::personaltelegramaccountstatus,
                case when n % 50 = 0 then 'Сеанс завершён в Telegram: войдите снова по QR-коду' end, true, false, false from generate_series(1, 199) n;
         insert into projects (created_at, client_id, name, description, status, require_reply_for_sources, hide_system_messages, auto_reply_enabled,
                               auto_reply_mode, auto_reply_always)
         select now() at time zone 'utc', {client}, repeat('Щ', 250) || n, repeat('Описание. ', 200), 'active', false, false, false, 'always', false
           from generate_series(1, 99) n",
        shop.project
    ))
    .await;
    let owner = Visit::of(&app, Role::Owner, Some(client)).await;
    let manager = Visit::of(&app, Role::Manager, Some(client)).await;
    let (card, more) = ("data-account=\"", "id=\"more\"");
    let project = format!("/client/projects/{}", shop.project);
    for visit in [&owner, &manager] {
        assert_eq!(each_once(visit, &project, card, more).await, 200);
        assert_eq!(each_once(visit, "/client", "<a class=\"card\" href=\"", more).await, 100);
    }
    for (query, all) in
        [("trouble=1", 3), ("name=%40user17", 11), ("name=%2B79990000017", 1), ("name=nobody", 0), ("name=%25", 0)]
    {
        assert_eq!(each_once(&owner, &format!("{project}?{query}"), card, more).await, all, "{query}");
    }
    assert!(owner.open(&format!("{project}?name=nobody")).await.text.contains("Ничего не найдено"));

    let settings = owner.open("/client/settings").await.ok(200).text;
    assert_clean("/client/settings", &settings);
    assert_eq!(settings.matches(card).count(), 4);
    assert!(settings.contains("Все аккаунты проекта: 200") && settings.contains("Другие проекты"));
    let last = app.value("select max(id) from projects").await.unwrap();
    let form = format!("data-path=\"/api/projects/{last}\"");
    assert!(!settings.contains(&form));
    let chosen = format!("/client/settings?project={last}");
    let settings = owner.open(&chosen).await.ok(200).text;
    assert_clean(&chosen, &settings);
    assert!(settings.contains(&form), "the project that was asked for stands there whole");
}

#[tokio::test]
async fn a_group_says_who_wrote_and_a_project_leads_to_its_own_dialogs() {
    let app = App::start().await;
    let shop = Shop::open(&app, "-1001", "Дом 5, подъезд 2").await;
    let private = app.dialog(&shop.owner, shop.bot, shop.account, 78, 5).await;
    for dialog in [shop.dialog, private] {
        let message = app.message(dialog, "Свет дали").await;
        app.execute(&format!(
            "insert into personal_telegram_messages (message_id, dialog_id, account_id, chat_id, incoming, sender_name)
             values ({message}, {dialog}, {}, 77, true, 'Пётр Соседов')",
            shop.account
        ))
        .await;
    }
    app.execute(&format!("update dialogs set external_reference = '-100777' where id = {}", shop.dialog)).await;
    let owner = Visit::of(&app, Role::Owner, Some(shop.owner.client)).await;
    let group = owner.open(&format!("/client/dialogs/{}", shop.dialog)).await.ok(200).text;
    assert!(words(&group).contains(&"Пётр Соседов"));
    let private = owner.open(&format!("/client/dialogs/{private}")).await.ok(200).text;
    assert!(!private.contains("Пётр Соседов"), "the title says so already");
    let project = owner.open(&format!("/client/projects/{}", shop.project)).await.ok(200).text;
    for link in ["", "&amp;waiting=1"] {
        let link = format!("href=\"/client/dialogs?project={}{link}\"", shop.project);
        assert!(project.contains(&link), "{link}");
    }
}

#[tokio::test]
async fn dialogs_are_found_by_what_they_are_called_and_by_who_waits() {
    let app = App::start().await;
    let shop = Shop::open(&app, "-1001234", "Анна_Петрова").await;
    let other = app.dialog(&shop.owner, shop.bot, shop.account, 78, 5).await;
    let account = app.account(&shop.owner, shop.project).await;
    let third = app.dialog(&shop.owner, shop.bot, account, 79, 9).await;
    app.execute(&format!("update dialogs set external_display_name = 'Борис', external_username = 'boris' where id = {other}"))
        .await;
    app.execute(&format!("update personal_telegram_dialogs set waiting = false where dialog_id = {other}")).await;
    app.message(shop.dialog, "<img src=x onerror=alert(1)>\nвторая строка").await;
    let owner = Visit::of(&app, Role::Owner, Some(shop.owner.client)).await;
    let found = async |query: &str| {
        let page = owner.open(&format!("/client/dialogs{query}")).await.ok(200).text;
        let ids = page.split("<a id=\"dialog-").skip(1).map(|part| part.split('"').next().unwrap().parse::<i32>().unwrap());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(found("").await, [shop.dialog, other, third]);
    assert_eq!(found("?name=%D0%B0%D0%BD%D0%BD%D0%B0").await, [shop.dialog]);
    assert_eq!(found("?name=%40BORIS").await, [other]);
    assert_eq!(found("?name=_").await, [shop.dialog]);
    assert_eq!(found("?name=%25").await, [] as [i32; 0]);
    assert_eq!(found("?name=%00").await, [] as [i32; 0]);
    assert_eq!(found("?waiting=1").await, [shop.dialog, third]);
    assert_eq!(found(&format!("?account={account}")).await, [third]);
    assert_eq!(found(&format!("?project={}", shop.project)).await, [shop.dialog, other, third]);
    assert_eq!(found("?project=x&account=-1&cursor=x&name=&waiting=").await, [shop.dialog, other, third]);

    let list = owner.open("/client/dialogs").await.text;
    assert!(list.contains("&lt;img src=x onerror=alert(1)&gt;") && !list.contains("вторая строка"));
    assert!(list.contains("aria-label=\"ждёт ответа\"") && list.contains("aria-label=\"отвечено\""));
    let page = owner.open(&format!("/client/dialogs/{}", shop.dialog)).await.text;
    assert_clean("dialog", &page);
    assert!(page.contains("https://t.me/c/1234/7") && page.contains("Отвечайте из темы рабочей группы в Telegram"));
    assert!(page.contains("&lt;img src=x onerror=alert(1)&gt;") && page.contains("disabled"));
}

#[tokio::test]
async fn an_unknown_path_answers_people_with_a_page_and_programs_with_a_problem() {
    let app = App::start().await;
    let ask = async |path: &str, accept: &str| {
        let answer = app.client.get(format!("{}{path}", app.base)).header("accept", accept).send().await.unwrap();
        (
            answer.status().as_u16(),
            answer.headers()["content-type"].to_str().unwrap().to_owned(),
            answer.headers().contains_key("content-security-policy"),
        )
    };
    let page = (404, "text/html; charset=utf-8".to_owned(), true);
    assert_eq!(ask("/client/nowhere", "text/html,application/xhtml+xml").await, page);
    assert_eq!(ask("/nowhere", "text/html").await, page);
    for (path, accept) in
        [("/api/nowhere", "text/html"), ("/api", "text/html"), ("/nowhere", "application/json"), ("/nowhere", "*/*")]
    {
        assert_eq!(ask(path, accept).await, (404, "application/problem+json".to_owned(), true), "{path} {accept}");
    }
    let posted = app.client.post(format!("{}/nowhere", app.base)).header("accept", "text/html").send().await.unwrap();
    assert_eq!(posted.headers()["content-type"], "application/problem+json");
}
