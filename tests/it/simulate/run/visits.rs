//! Who knocks at a worker's door: the provider with its events, and staff.

use recoup::domain::event::StaffAction;
use recoup::domain::ids::InboxId;
use recoup::engine::{Engine, StaffError};
use recoup::providers::Provider;
use recoup::store::Storage;
use recoup::store::inbox::{InboxStatus, NewInbox};

use super::{CONNECTION, Runner};
use crate::simulate::people::Act;
use crate::simulate::state::{DAY, HOUR, Happening, Line, MINUTE, instant};
use crate::simulate::{database, network};

/// How often the provider brings an event again, and when.
const AGAIN: [i64; 7] = [MINUTE, 10 * MINUTE, HOUR, 6 * HOUR, 12 * HOUR, DAY, DAY];

impl Runner {
    /// Some worker that lives.
    fn somebody(&mut self) -> Option<(usize, Engine)> {
        let alive: Vec<usize> = (0..self.engines.len())
            .filter(|at| self.engines[*at].is_some())
            .collect();
        let worker = *self.dice.pick(alive.get(..).filter(|alive| !alive.is_empty())?);
        Some((worker, self.engines[worker].clone()?))
    }

    pub(super) fn deliver(&mut self, event: usize, again: u32) {
        let body = {
            let mut state = self.world.lock();
            if again < 100 {
                if state.books.events[event].acknowledged {
                    return;
                }
                if let Some(wait) = AGAIN.get(again as usize) {
                    let at = state.now + wait;
                    state.at(at, Happening::Act(Act::Deliver(event, again + 1)));
                }
            }
            state.books.events[event].body.clone()
        };
        let Some((worker, engine)) = self.somebody() else {
            return;
        };
        let line = self.line(worker);
        self.spawn(worker, false, async move {
            let row = received(&line, &engine, event, body);
            if database::Port(line.clone()).take_in(&row).await.is_ok() {
                line.world.lock().books.events[event].acknowledged = true;
                engine.nudge();
            }
        });
    }

    pub(super) fn staff(&mut self, invoice: usize, action: &StaffAction, times: usize) {
        let id = {
            let mut state = self.world.lock();
            let name = format!("in_{invoice}");
            let Some(id) = state.db.case_of_invoice(&name).map(|row| row.case.id.clone()) else {
                return;
            };
            let now = state.now;
            state.note("staff", invoice as u64, &action.as_str());
            state.judge.person_says(&name, now);
            id
        };
        for _ in 0..times {
            let Some((worker, engine)) = self.somebody() else {
                return;
            };
            let (id, action, line) = (id.clone(), action.clone(), self.line(worker));
            self.spawn(worker, false, async move {
                match engine.staff(&id, action, "eve", None).await {
                    Ok(_) => *line.world.lock().judge.staff_done.entry(id.to_string()).or_default() += 1,
                    Err(
                        StaffError::Refused(_) | StaffError::Forbidden(_) | StaffError::NotFound | StaffError::Store(_),
                    ) => {}
                }
            });
        }
    }
}

/// The row of the inbox for an event that was brought, as the door of the service makes it.
fn received(line: &Line, engine: &Engine, event: usize, body: Vec<u8>) -> NewInbox {
    let provider = network::Port(line.clone());
    let now = engine.clock().now();
    let id = InboxId::new(now.as_millisecond(), engine.clock().entropy());
    let read = provider.normalize(&body);
    let (event_id, kind, status, reason) = match read {
        Ok(read) => (read.event_id, read.kind, InboxStatus::Pending, None),
        Err(malformed) => (
            format!("malformed:{event}"),
            "malformed".to_owned(),
            InboxStatus::Dead,
            Some(malformed.0),
        ),
    };
    NewInbox {
        id,
        connection: CONNECTION.to_owned(),
        event_id,
        kind,
        body,
        received_at: instant(now.as_millisecond()),
        status,
        reason,
    }
}
