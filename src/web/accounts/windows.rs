//! The windows behind the buttons of a card, once a page.

use crate::web::visitor::Visitor;
use maud::{Markup, html};

pub(in crate::web) fn windows(visitor: &Visitor) -> Markup {
    let text = |id: &str| visitor.text(id);
    let wrong = || html! { p.error role="alert" hidden {} };
    html! {
        dialog #rename-window aria-labelledby="rename-title" {
            form.body method="dialog" data-done=(text("saved")) {
                h2 #rename-title { (text("rename-title")) }
                label { span { (text("account-name")) } input type="text" name="display_name" maxlength="255" autocomplete="off"; }
                p.hint { (text("rename-help")) }
                (wrong())
                div.row { button.primary type="submit" value="yes" { (text("save")) } button type="button" data-close { (text("cancel")) } }
            }
        }
        dialog #proxy-window aria-labelledby="proxy-title" {
            form.body method="dialog" data-done=(text("proxy-saved")) data-removed=(text("proxy-removed")) {
                h2 #proxy-title { (text("proxy-title")) }
                p { strong data-name {} }
                p #proxy-now hidden { span.muted { (text("proxy-now")) ": " } code {} }
                label { span { (text("proxy-address")) }
                    input type="text" name="url" required maxlength="600" autocomplete="off" autocapitalize="none" spellcheck="false" inputmode="url"
                          placeholder="socks5://login:password@proxy.example:1080" aria-describedby="proxy-help"; }
                p.hint #proxy-help { (text("proxy-help")) }
                (wrong())
                div.row {
                    button.primary type="submit" value="yes" { (text("save")) }
                    button.danger type="submit" value="remove" formnovalidate hidden { (text("remove-proxy")) }
                    button type="button" data-close { (text("cancel")) }
                }
            }
        }
        dialog #remove-window aria-labelledby="remove-title" aria-describedby="remove-says" {
            form.body method="dialog" data-done=(text("account-was-removed")) {
                h2 #remove-title { (text("remove-title")) }
                p { strong data-name {} }
                ul.says #remove-says { li { (text("remove-dialogs")) } li { (text("remove-replies")) } li { (text("remove-session")) } }
                (wrong())
                div.row { button.danger type="submit" value="yes" { (text("remove-account")) } button type="button" data-close autofocus { (text("cancel")) } }
            }
        }
    }
}
