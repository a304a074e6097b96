//! `users.*` and `contacts.*`: people, and how they are found.

use super::{Call, RpcError, error};
use crate::mtproto::view;
use crate::world::peer::Peer;
use grammers_tl_types::{enums, functions as f, types};

/// Users named in one call.
const LIMIT: usize = 200;

/// `account.updateStatus`: accepted; nobody is shown as online.
pub fn update_status(call: &mut Call, _: f::account::UpdateStatus) -> Result<bool, RpcError> {
    call.me().map(|_| true)
}

/// `users.getUsers`: wrong ones are left out as `userEmpty`.
pub fn get(call: &mut Call, q: f::users::GetUsers) -> Result<Vec<enums::User>, RpcError> {
    let me = call.signed_in()?;
    let one = |input: &enums::InputUser| match call.user(me, input) {
        Ok(id) => view::users::user(call.world, me, id),
        Err(_) => types::UserEmpty { id: if let enums::InputUser::User(u) = input { u.user_id } else { 0 } }.into(),
    };
    Ok(q.id.iter().take(LIMIT).map(one).collect())
}

/// `users.getFullUser`.
pub fn full(call: &mut Call, q: f::users::GetFullUser) -> Result<enums::users::UserFull, RpcError> {
    let me = call.me()?;
    let user = call.user(me, &q.id)?;
    Ok(view::users::full(call.world, me, user))
}

/// `contacts.getContacts`: the people the user has a private chat with.
pub fn contacts(call: &mut Call, _: f::contacts::GetContacts) -> Result<enums::contacts::Contacts, RpcError> {
    let me = call.me()?;
    let mailbox = call.world.user(me).map(|user| &user.mailbox);
    let others = mailbox.into_iter().flat_map(|mailbox| mailbox.dialogs()).map(|(peer, _, _)| peer);
    let ids: Vec<i64> = others.filter(|peer| *peer > 0 && *peer != me).collect();
    let contacts = ids.iter().map(|&user_id| types::Contact { user_id, mutual: false }.into()).collect();
    let users = ids.iter().map(|id| view::users::user(call.world, me, *id)).collect();
    Ok(types::contacts::Contacts { contacts, saved_count: 0, users }.into())
}

/// `contacts.resolveUsername`; 400 `USERNAME_NOT_OCCUPIED`.
pub fn resolve_username(call: &mut Call, q: f::contacts::ResolveUsername) -> Result<enums::contacts::ResolvedPeer, RpcError> {
    let me = call.me()?;
    match call.world.user_by_username(q.username.trim_start_matches('@')).map(|user| user.id) {
        Some(id) => Ok(resolved(call, me, id)),
        None => error(400, "USERNAME_NOT_OCCUPIED"),
    }
}

/// `contacts.resolvePhone`; 400 `PHONE_NOT_OCCUPIED`.
pub fn resolve_phone(call: &mut Call, q: f::contacts::ResolvePhone) -> Result<enums::contacts::ResolvedPeer, RpcError> {
    let me = call.me()?;
    match call.world.user_by_phone(&q.phone).map(|user| user.id) {
        Some(id) => Ok(resolved(call, me, id)),
        None => error(400, "PHONE_NOT_OCCUPIED"),
    }
}

fn resolved(call: &Call, me: i64, id: i64) -> enums::contacts::ResolvedPeer {
    let peer = view::peer(Peer::User(id).marked());
    types::contacts::ResolvedPeer { peer, chats: Vec::new(), users: vec![view::users::user(call.world, me, id)] }.into()
}
