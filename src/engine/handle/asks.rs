//! The instruments whose history requests need to be decided.

use super::Request;
use crate::domain::decide::{bank_asked, instruments_asked};
use crate::engine::Inner;
use crate::store::changes::{Ask, Locked};

/// What the requests need to know, each instrument once for each that may charge it.
pub fn of(inner: &Inner, requests: &[Request], cases: &Locked) -> Vec<Ask> {
    let now = inner.now();
    let mut asked = Vec::new();
    for request in requests {
        let Request::Event { id, event, .. } = request else {
            continue;
        };
        let Some(Ok(case)) = cases.get(id) else { continue };
        let may_charge = event.is_due_look();
        let bank_group = bank_asked(case, event, now);
        asked.extend(instruments_asked(case, event, now).into_iter().map(|instrument| Ask {
            connection: case.connection.clone(),
            instrument,
            may_charge,
            bank_group: bank_group.clone(),
            at: now,
        }));
    }
    asked
}
