//! What the service does: one file per job, over a queue on apalis' table.

mod account_ended;
mod bot_call;
pub mod bot_updates;
pub mod context;
mod fence;
pub mod intake;
pub mod job;
mod log_out;
mod login;
mod mark_reply;
pub mod meters;
mod mirror_message;
pub mod old_sessions;
pub mod origin;
mod persist;
pub mod personal_tasks;
mod poll_login;
mod post_notice;
pub mod queue;
mod refresh_topic;
mod restrict;
pub mod retention;
mod send_reply;
mod start_login;
mod submit_password;
mod sync_accounts;
mod topic;

pub use account_ended::{account_ended, fail_waiting_replies};
pub use bot_call::{AnswerGetid, DeleteServiceMessage};
pub use context::Context;
pub use job::{Backoff, Job, JobError, Policy, Subject, Unique, enqueue, enqueue_all, enqueue_alone, enqueue_at, enqueue_in};
pub use log_out::LogOut;
pub use mark_reply::MarkReply;
pub use mirror_message::MirrorMessage;
pub use origin::Origin;
pub use persist::all_stored;
pub use poll_login::PollLogin;
pub use post_notice::{Notice, PostNotice};
pub use refresh_topic::RefreshTopic;
pub use retention::Retention;
pub use send_reply::SendReply;
pub use start_login::StartLogin;
pub use submit_password::SubmitPassword;
pub use sync_accounts::SyncAccounts;

/// Each kind is named once.
macro_rules! kinds {
    ($($job:ident),* $(,)?) => {
        /// Names of the kinds that this version knows.
        pub const KINDS: &[&str] = &[$(<$job as Job<Context>>::KIND),*];

        /// A runner of every kind that this version knows.
        pub fn runner(queue: queue::Queue, context: Context) -> queue::Runner<Context> {
            queue::Runner::new(queue, context)$(.register::<$job>())*
        }
    };
}

kinds![
    StartLogin,
    PollLogin,
    SubmitPassword,
    MirrorMessage,
    SendReply,
    RefreshTopic,
    MarkReply,
    PostNotice,
    AnswerGetid,
    DeleteServiceMessage,
    LogOut,
    SyncAccounts,
];
