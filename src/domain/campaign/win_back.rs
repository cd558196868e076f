//! The invitation to come back, some time after the end.

use serde::{Deserialize, Serialize};

use super::Flaw;

/// The latest invitation to come back, in days: the shortest retention keeps the messages of a closed case for a month.
pub(super) const WIN_BACK_DAYS_MAX: u16 = 28;

/// When who lost a subscription for non-payment is invited to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WinBack {
    /// Days after the end, at the hour of the campaign's messages.
    pub after_days: u16,
}

impl WinBack {
    pub(super) fn flaw(self) -> Option<Flaw> {
        let fits = (1..=WIN_BACK_DAYS_MAX).contains(&self.after_days);
        (!fits).then(|| {
            Flaw::new(
                "win_back.after_days",
                format!("win_back.after_days must be 1 to {WIN_BACK_DAYS_MAX}"),
            )
        })
    }
}
