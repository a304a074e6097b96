//! Calls of Telegram's API: which there are, who may make them, and their errors. One file per group of methods.

mod auth;
mod channels;
mod dialogs;
mod help;
mod history;
mod messages;
mod password;
mod peers;
mod updates;
mod users;

use crate::world::World;
use grammers_tl_types::{Cursor, Deserializable, Identifiable, RemoteCall, Serializable, functions as f, name_for_id};

/// An error that a call answers, by Telegram's name (<https://core.telegram.org/api/errors>).
#[derive(Debug)]
pub struct RpcError {
    /// 303, 400, 401, 403, 406, 420 or 500.
    pub code: i32,
    /// `PEER_ID_INVALID`.
    pub name: String,
}

/// The error with this code and name.
fn error<T>(code: i32, name: impl Into<String>) -> Result<T, RpcError> {
    Err(RpcError { code, name: name.into() })
}

/// What came of a call.
pub struct Outcome {
    /// `messages.sendMessage`.
    pub method: &'static str,
    /// The answer in TL, or the error.
    pub result: Result<Vec<u8>, RpcError>,
}

/// A call in progress.
pub struct Call<'a> {
    world: &'a mut World,
    connection: u64,
    key: u64,
}

impl Call<'_> {
    /// The signed-in user, in any data centre.
    fn signed_in(&self) -> Result<i64, RpcError> {
        let key = self.world.keys.get(&self.key);
        match key.and_then(|key| key.user) {
            Some(user) if self.world.users.contains_key(&user) => Ok(user),
            _ => error(401, key.and_then(|key| key.ended.clone()).unwrap_or_else(|| "AUTH_KEY_UNREGISTERED".into())),
        }
    }

    /// The signed-in user, at home: other data centres answer 303 `USER_MIGRATE_x`.
    fn me(&self) -> Result<i64, RpcError> {
        let me = self.signed_in()?;
        match self.world.user(me).map(|user| user.home_dc) {
            Some(home) if home != self.dc() => error(303, format!("USER_MIGRATE_{home}")),
            _ => Ok(me),
        }
    }

    /// This data centre.
    fn dc(&self) -> i32 {
        self.world.keys.get(&self.key).map_or(0, |key| key.dc)
    }
}

/// The rest of a wrapper's body: `query:!X`, whatever it is.
struct Query(Vec<u8>);

impl Deserializable for Query {
    fn deserialize(buffer: &mut Cursor) -> grammers_tl_types::deserialize::Result<Self> {
        let mut rest = Vec::new();
        buffer.read_to_end(&mut rest)?;
        Ok(Self(rest))
    }
}

/// Wrappers around wrappers, at most.
const WRAPPERS: usize = 8;

/// Takes off `invokeWithLayer`, `initConnection` and the like. The flag says whether the client wants no updates.
fn unwrap(body: &[u8]) -> Option<(Vec<u8>, bool)> {
    let mut body = body.to_vec();
    let mut no_updates = false;
    for _ in 0..WRAPPERS {
        let mut cursor = Cursor::from_slice(&body);
        body = match u32::deserialize(&mut cursor).ok()? {
            f::InvokeWithLayer::<Query>::CONSTRUCTOR_ID => f::InvokeWithLayer::<Query>::deserialize(&mut cursor).ok()?.query.0,
            f::InitConnection::<Query>::CONSTRUCTOR_ID => f::InitConnection::<Query>::deserialize(&mut cursor).ok()?.query.0,
            f::InvokeAfterMsg::<Query>::CONSTRUCTOR_ID => f::InvokeAfterMsg::<Query>::deserialize(&mut cursor).ok()?.query.0,
            f::InvokeAfterMsgs::<Query>::CONSTRUCTOR_ID => f::InvokeAfterMsgs::<Query>::deserialize(&mut cursor).ok()?.query.0,
            f::InvokeWithoutUpdates::<Query>::CONSTRUCTOR_ID => {
                no_updates = true;
                f::InvokeWithoutUpdates::<Query>::deserialize(&mut cursor).ok()?.query.0
            }
            _ => return Some((body, no_updates)),
        };
    }
    None
}

/// The longest call. TL types nest within each other, and so does the code that reads them: this bounds the depth.
const CALL_LIMIT: usize = 64 << 10;

/// Answers one call, wrappers and all.
pub fn answer(world: &mut World, connection: u64, key: u64, body: &[u8]) -> Outcome {
    let Some((body, no_updates)) = unwrap(body) else {
        return Outcome { method: "(unreadable)", result: error(400, "INPUT_FETCH_ERROR") };
    };
    if no_updates && let Some(connection) = world.live.connections.get_mut(&connection) {
        connection.no_updates = true;
    }
    let constructor = u32::from_bytes(&body).unwrap_or_default();
    let method = name_for_id(constructor);
    world.stats.count_rpc(method);
    let user = world.keys.get(&key).and_then(|key| key.user.or(key.awaiting_password));
    let result = if body.len() > CALL_LIMIT {
        error(400, "INPUT_REQUEST_TOO_LONG")
    } else if world.keys.get(&key).is_none_or(|key| key.killed) {
        error(406, "AUTH_KEY_DUPLICATED")
    } else if let Some((code, name)) = world.faults.take_rpc_error(user, method) {
        Err(RpcError { code, name })
    } else {
        dispatch(&mut Call { world, connection, key }, constructor, &body)
    };
    if let Err(refused) = &result {
        tracing::debug!(method, code = refused.code, name = refused.name, "refused");
    }
    Outcome { method, result }
}

fn run<Q: Deserializable + RemoteCall>(
    call: &mut Call,
    body: &[u8],
    handler: fn(&mut Call, Q) -> Result<Q::Return, RpcError>,
) -> Result<Vec<u8>, RpcError>
where
    Q::Return: Serializable,
{
    match Q::from_bytes(&body[4..]) {
        Ok(request) => handler(call, request).map(|answer| answer.to_bytes()),
        Err(unreadable) => {
            tracing::debug!(?unreadable, "request");
            error(400, "INPUT_FETCH_FAIL")
        }
    }
}

/// Names each method once, with its handler.
macro_rules! methods {
    ($call:expr, $id:expr, $body:expr, $( $request:ty => $handler:path ),+ $(,)?) => {
        match $id {
            $( <$request>::CONSTRUCTOR_ID => run::<$request>($call, $body, $handler), )+
            _ => {
                tracing::warn!(method = name_for_id($id), id = format!("{:08x}", $id), "no such method here");
                error(400, "METHOD_INVALID")
            }
        }
    };
}

fn dispatch(call: &mut Call, id: u32, body: &[u8]) -> Result<Vec<u8>, RpcError> {
    methods!(call, id, body,
        f::help::GetConfig => help::config,
        f::help::GetNearestDc => help::nearest_dc,
        f::auth::ExportLoginToken => auth::export_login_token,
        f::auth::ImportLoginToken => auth::import_login_token,
        f::auth::ExportAuthorization => auth::export_authorization,
        f::auth::ImportAuthorization => auth::import_authorization,
        f::auth::LogOut => auth::log_out,
        f::account::GetPassword => password::get,
        f::auth::CheckPassword => password::check,
        f::account::UpdateStatus => users::update_status,
        f::users::GetUsers => users::get,
        f::users::GetFullUser => users::full,
        f::contacts::GetContacts => users::contacts,
        f::contacts::ResolveUsername => users::resolve_username,
        f::contacts::ResolvePhone => users::resolve_phone,
        f::updates::GetState => updates::state,
        f::updates::GetDifference => updates::difference,
        f::updates::GetChannelDifference => updates::channel_difference,
        f::messages::SendMessage => messages::send,
        f::messages::ReadHistory => messages::read,
        f::messages::SetTyping => messages::typing,
        f::messages::GetDialogs => dialogs::all,
        f::messages::GetPeerDialogs => dialogs::of_peers,
        f::messages::GetHistory => history::page,
        f::messages::GetMessages => history::by_id,
        f::messages::GetChats => channels::basic_groups,
        f::messages::GetFullChat => channels::full_group,
        f::channels::GetMessages => history::by_id_in_channel,
        f::channels::GetChannels => channels::get,
        f::channels::GetFullChannel => channels::full,
        f::channels::ReadHistory => messages::read_channel,
    )
}
