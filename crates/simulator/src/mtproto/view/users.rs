//! Users in TL.

use super::{minimal, no_flags};
use crate::world::World;
use grammers_tl_types::{Serializable, enums, types};

/// A user as the viewer sees it, with the viewer's access hash. Phone numbers are shown to their owner alone.
pub fn user(world: &World, viewer: i64, id: i64) -> enums::User {
    let Some(user) = world.user(id) else {
        return types::UserEmpty { id }.into();
    };
    let mut tl: types::User = minimal(|b| {
        no_flags(b);
        no_flags(b);
        id.serialize(b);
    });
    tl.is_self = id == viewer;
    tl.access_hash = Some(world.access_hash(viewer, id));
    tl.first_name = Some(user.first_name.clone());
    tl.last_name = user.last_name.clone();
    tl.username = user.username.clone();
    tl.phone = user.phone.clone().filter(|_| id == viewer);
    enums::User::User(tl)
}

/// `users.getFullUser`.
pub fn full(world: &World, viewer: i64, id: i64) -> enums::users::UserFull {
    let full: types::UserFull = minimal(|b| {
        no_flags(b);
        no_flags(b);
        id.serialize(b);
        peer_settings().serialize(b);
        notify_settings().serialize(b);
        0i32.serialize(b);
    });
    types::users::UserFull { full_user: full.into(), chats: Vec::new(), users: vec![user(world, viewer, id)] }.into()
}

fn peer_settings() -> enums::PeerSettings {
    enums::PeerSettings::Settings(minimal(no_flags))
}

/// Notification settings with nothing set.
pub fn notify_settings() -> enums::PeerNotifySettings {
    enums::PeerNotifySettings::Settings(minimal(no_flags))
}
