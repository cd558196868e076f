//! `[clock]`: which clock runs.

use jiff::Timestamp;

use super::values::Values;

/// Which clock runs.
#[derive(Clone, Debug)]
pub struct Clock {
    /// The operating system's clock, or the test clock.
    pub mode: Mode,
    /// First instant of the test clock; without it, now. The system clock does not look at it.
    pub start: Option<Timestamp>,
}

/// The two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The operating system's time.
    System,
    /// Time that moves only when told to.
    Test,
}

pub(super) fn read(values: &mut Values) -> Option<Clock> {
    let mode = values.required("clock.mode", |text| match text {
        "system" => Ok(Mode::System),
        "test" => Ok(Mode::Test),
        _ => Err("is neither `system` nor `test`; write one of them".to_owned()),
    });
    let start = values.optional("clock.start", |text| {
        text.parse()
            .map_err(|_| "is not an RFC 3339 instant; write it like 2026-03-01T00:00:00Z".to_owned())
    });
    Some(Clock { mode: mode?, start })
}
