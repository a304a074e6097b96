//! A login as a state machine of durable steps.

use serde::{Deserialize, Serialize};

/// Where a login stands. Stored as its snake_case name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginStage {
    /// Asked for; no QR code yet.
    Starting,
    /// The QR code is valid and waits to be scanned.
    Ready,
    /// Scanned, being finished.
    Scanned,
    /// The account has a 2FA password, which is asked for.
    PasswordRequired,
    /// A password's proof is being checked.
    CheckingPassword,
    /// The account is connected.
    Completed,
    /// Failed for good; the row holds the text.
    Failed,
    /// Nobody scanned in time.
    Expired,
    /// Cancelled by its owner.
    Cancelled,
}

/// What happens to a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginEvent {
    /// A token was exported, first or anew.
    TokenExported,
    /// The phone scanned the code.
    Scanned,
    /// Telegram wants the 2FA password (also after a wrong one).
    PasswordWanted,
    /// The API handed in a proof.
    ProofSubmitted,
    /// Telegram accepted.
    Authorised,
    /// A final error.
    Failed,
    /// The time for the whole login ran out.
    TimeOut,
    /// DELETE.
    Cancelled,
}

impl LoginStage {
    /// The stage after `event`, or `None` where the event means nothing any more (a login that ended stays as it is).
    pub fn next(self, event: LoginEvent) -> Option<Self> {
        use LoginEvent as E;
        if self.is_final() {
            return None;
        }
        match (self, event) {
            (_, E::Cancelled) => Some(Self::Cancelled),
            (_, E::Failed) => Some(Self::Failed),
            (_, E::TimeOut) => Some(Self::Expired),
            (_, E::Authorised) => Some(Self::Completed),
            (Self::Starting | Self::Ready | Self::Scanned, E::TokenExported) => Some(Self::Ready),
            (Self::Starting | Self::Ready, E::Scanned) => Some(Self::Scanned),
            (Self::Starting | Self::Ready | Self::Scanned | Self::CheckingPassword, E::PasswordWanted) => {
                Some(Self::PasswordRequired)
            }
            (Self::PasswordRequired, E::ProofSubmitted) => Some(Self::CheckingPassword),
            _ => None,
        }
    }

    /// True when nothing will happen to it any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Expired | Self::Cancelled)
    }

    /// True while a new key and QR code cost nobody anything: the password was not asked for yet.
    pub fn may_start_over(self) -> bool {
        matches!(self, Self::Starting | Self::Ready | Self::Scanned)
    }

    /// `status` of the contract: `pending` = no code yet, or scanned and being finished.
    pub fn status(self) -> &'static str {
        match self {
            Self::Starting | Self::Scanned | Self::CheckingPassword => "pending",
            Self::Ready => "ready",
            Self::PasswordRequired => "password_required",
            Self::Completed => "completed",
            Self::Failed | Self::Cancelled => "error",
            Self::Expired => "expired",
        }
    }

    /// The stored name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Scanned => "scanned",
            Self::PasswordRequired => "password_required",
            Self::CheckingPassword => "checking_password",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads [`LoginStage::name`].
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.name() == name)
    }

    /// Every stage.
    pub const ALL: [Self; 9] = [
        Self::Starting,
        Self::Ready,
        Self::Scanned,
        Self::PasswordRequired,
        Self::CheckingPassword,
        Self::Completed,
        Self::Failed,
        Self::Expired,
        Self::Cancelled,
    ];
}

/// What the portal shows for a wrong 2FA password.
pub const WRONG_PASSWORD: &str = "Неверный пароль";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for stage in LoginStage::ALL {
            assert_eq!(LoginStage::parse(stage.name()), Some(stage));
        }
    }

    #[test]
    fn an_ended_login_never_moves() {
        for stage in LoginStage::ALL.into_iter().filter(|stage| stage.is_final()) {
            for event in [LoginEvent::TokenExported, LoginEvent::Authorised, LoginEvent::Cancelled, LoginEvent::TimeOut] {
                assert_eq!(stage.next(event), None);
            }
        }
    }

    #[test]
    fn a_wrong_password_can_be_tried_again_without_a_new_code() {
        let checking = LoginStage::PasswordRequired.next(LoginEvent::ProofSubmitted).unwrap();
        assert_eq!(checking.next(LoginEvent::PasswordWanted), Some(LoginStage::PasswordRequired));
        assert_eq!(checking.next(LoginEvent::TokenExported), None);
    }
}
