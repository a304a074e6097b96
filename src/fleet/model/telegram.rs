//! Telegram as the judge: the connections on one authorization key, and when each ends.

use super::rules::{Rules, Window};
use super::{Ms, Name, Slot};

/// How long Telegram waits after a `ping_delay_disconnect`.
const DISCONNECT_DELAY: Ms = 75_000;

pub type SocketId = usize;

struct Socket {
    id: SocketId,
    slot: Slot,
    name: Name,
    /// When the server closes it; `None`: no ping has come yet.
    ends_at: Option<Ms>,
    /// The client's end is open. A close that the network lost is not heard before it heals.
    client_open: bool,
    /// A ping on its way through a network that is cut.
    late_ping: bool,
}

#[derive(Default)]
pub struct Telegram {
    sockets: Vec<Socket>,
    opened: SocketId,
    pub cut: Vec<bool>,
    /// The first overlap.
    pub overlap: Option<String>,
}

impl Telegram {
    pub fn new(slots: usize) -> Self {
        Self { cut: vec![false; slots], ..Self::default() }
    }

    /// A connection with the key. There must be no other.
    pub fn open(&mut self, rules: Rules, slot: Slot, name: Name) -> SocketId {
        let counts = |socket: &&Socket| socket.client_open || rules.is_open(Window::UnheardClose);
        if let Some(other) = self.sockets.iter().find(counts) {
            self.overlap.get_or_insert(format!("worker {name} connects while worker {} is connected", other.name));
        }
        self.opened += 1;
        self.sockets.push(Socket { id: self.opened, slot, name, ends_at: None, client_open: true, late_ping: false });
        self.opened
    }

    pub fn knows(&self, id: SocketId) -> bool {
        self.sockets.iter().any(|socket| socket.id == id)
    }

    /// `ping_delay_disconnect`. False: it is not answered.
    pub fn ping(&mut self, id: SocketId, now: Ms) -> bool {
        let Some(socket) = self.sockets.iter_mut().find(|socket| socket.id == id) else { return false };
        if self.cut[socket.slot] {
            socket.late_ping = true;
            return false;
        }
        socket.ends_at = Some(now + DISCONNECT_DELAY);
        true
    }

    /// The client closes its end.
    pub fn close(&mut self, id: SocketId) {
        let cut = &self.cut;
        self.sockets.iter_mut().filter(|socket| socket.id == id).for_each(|socket| socket.client_open = false);
        self.sockets.retain(|socket| socket.client_open || cut[socket.slot]);
    }

    /// A process ends: so do its connections.
    pub fn crash(&mut self, name: Name) {
        let of_it = |socket: &&Socket| socket.name == name;
        let ids: Vec<SocketId> = self.sockets.iter().filter(of_it).map(|socket| socket.id).collect();
        ids.into_iter().for_each(|id| self.close(id));
    }

    /// Telegram closes the connections of one process.
    pub fn drop_connections(&mut self, slot: Slot) {
        self.sockets.retain(|socket| socket.slot != slot);
    }

    /// The network delivers what it held up.
    pub fn heal(&mut self, slot: Slot, now: Ms, rules: Rules) {
        self.cut[slot] = false;
        self.sockets.retain(|socket| socket.client_open || socket.slot != slot);
        for socket in self.sockets.iter_mut().filter(|socket| socket.slot == slot) {
            if std::mem::take(&mut socket.late_ping) && rules.is_open(Window::LatePing) {
                socket.ends_at = Some(now + DISCONNECT_DELAY);
            }
        }
    }

    /// Closes what was silent for too long.
    pub fn run(&mut self, now: Ms) {
        self.sockets.retain(|socket| socket.ends_at.is_none_or(|ends_at| ends_at > now));
    }

    /// When it closes the next one.
    pub fn next(&self) -> Ms {
        self.sockets.iter().filter_map(|socket| socket.ends_at).min().unwrap_or(Ms::MAX)
    }
}
