//! A stretch of time whose list at the provider is read piece by piece: a piece of which there is more than a list can hold is
//! halved.

use jiff::Timestamp;

use crate::domain::calendar::secs_from;

/// The pieces of a stretch that were not read yet.
#[derive(Clone, Debug)]
pub struct Stretch {
    /// The next one last. Halving lets others stay as long as they are, so that a storm makes no short pieces of a quiet night.
    pieces: Vec<(Timestamp, Timestamp)>,
}

impl Stretch {
    /// All of it, as one piece.
    pub fn new(from: Timestamp, to: Timestamp) -> Self {
        let pieces = (from < to).then_some((from, to)).into_iter().collect();
        Self { pieces }
    }

    /// The piece to read next, oldest first; nothing once all were read. Two pieces share the instant between them, so that
    /// nothing falls through: providers date by whole seconds.
    pub fn piece(&self) -> Option<(Timestamp, Timestamp)> {
        self.pieces.last().copied()
    }

    /// The piece was read.
    pub fn go_on(&mut self) {
        self.pieces.pop();
    }

    /// Makes two pieces of this one; says whether it could.
    pub fn halve(&mut self) -> bool {
        let Some((from, until)) = self.piece() else {
            return false;
        };
        let half_secs = until.duration_since(from).as_secs() / 2;
        if half_secs == 0 {
            return false;
        }
        let middle = secs_from(from, half_secs);
        self.pieces.pop();
        self.pieces.extend([(middle, until), (from, middle)]);
        true
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_stretch_is_one_piece_until_it_is_too_long() {
        let night = || Stretch::new(at("2026-03-02T00:00:00Z"), at("2026-03-02T08:00:00.5Z"));
        assert_eq!(pieces(night(), |_, _| true), ["00:00:00-08:00:00"]);
        // From one o'clock on there is a storm, of which half an hour is too much; the rest is read as it was.
        let storm = at("2026-03-02T01:00:00Z");
        let fits = |from: Timestamp, until: Timestamp| {
            until <= storm
                || storm + SignedDuration::from_mins(15) < from
                || until.duration_since(from).as_secs() < 1800
        };
        let read = [
            "00:00:00-01:00:00",
            "01:00:00-01:15:00",
            "01:15:00-01:30:00",
            "01:30:00-02:00:00",
        ];
        let rest = ["02:00:00-04:00:00", "04:00:00-08:00:00"];
        assert_eq!(pieces(night(), fits), [&read[..], &rest].concat());
    }

    #[test]
    fn a_second_cannot_be_halved() {
        let moment = Stretch::new(at("2026-03-02T08:00:00Z"), at("2026-03-02T08:00:03Z"));
        assert_eq!(pieces(moment.clone(), |_, _| false), <[String; 0]>::default());
        let short = |from: Timestamp, until: Timestamp| until.duration_since(from).as_secs() < 2;
        assert_eq!(
            pieces(moment, short),
            ["08:00:00-08:00:01", "08:00:01-08:00:02", "08:00:02-08:00:03"]
        );
        assert_eq!(
            Stretch::new(at("2026-03-02T08:00:00Z"), at("2026-03-02T08:00:00Z")).piece(),
            None
        );
    }

    /// The pieces that are read where only some fit into a list.
    fn pieces(mut stretch: Stretch, fits: impl Fn(Timestamp, Timestamp) -> bool) -> Vec<String> {
        let mut read = Vec::new();
        while let Some((from, until)) = stretch.piece() {
            if fits(from, until) {
                read.push(format!("{}-{}", from.strftime("%H:%M:%S"), until.strftime("%H:%M:%S")));
                stretch.go_on();
            } else if !stretch.halve() {
                break;
            }
        }
        read
    }
}
