//! F1: named points where a test of the real binary can end it, stop it or hold it up. Only with the feature `failpoints`;
//! otherwise nothing of this is in the binary.
//!
//! `RECOUP_FAILPOINT=charge_answered:kill@3,mail_taken:delay=200` says what happens at which hit of which point. Each
//! happens once; a word that is not understood ends the process at its first point, so that no run tests nothing.

/// A place with a name. What the environment wants done here is done.
#[macro_export]
macro_rules! failpoint {
    ($name:literal) => {
        #[cfg(feature = "failpoints")]
        $crate::failpoint::reach($name);
    };
}

#[cfg(feature = "failpoints")]
pub use armed::reach;

#[cfg(feature = "failpoints")]
mod armed {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;
    use std::time::Duration;

    use rustix::process::{Signal, getpid, kill_process};

    const VARIABLE: &str = "RECOUP_FAILPOINT";

    struct Armed {
        name: String,
        deed: Deed,
        /// The hit that counts, from 1.
        hit: u32,
        hits: AtomicU32,
    }

    #[derive(Clone, Copy)]
    enum Deed {
        Kill,
        Stop,
        Panic,
        Delay(Duration),
    }

    static ARMED: LazyLock<Vec<Armed>> = LazyLock::new(|| {
        let text = std::env::var(VARIABLE).unwrap_or_default();
        let words = text.split(',').filter(|word| !word.is_empty());
        words
            .map(|word| parse(word).unwrap_or_else(|| panic!("{VARIABLE}: {word:?} is not NAME:DEED[@HIT]")))
            .collect()
    });

    fn parse(word: &str) -> Option<Armed> {
        let (name, rest) = word.split_once(':')?;
        let (deed, hit) = rest.split_once('@').unwrap_or((rest, "1"));
        let deed = match deed.split_once('=') {
            None if deed == "kill" => Deed::Kill,
            None if deed == "stop" => Deed::Stop,
            None if deed == "panic" => Deed::Panic,
            Some(("delay", millis)) => Deed::Delay(Duration::from_millis(millis.parse().ok()?)),
            _ => return None,
        };
        Some(Armed {
            name: name.to_owned(),
            deed,
            hit: hit.parse().ok().filter(|hit| *hit > 0)?,
            hits: AtomicU32::new(0),
        })
    }

    /// Counts a hit of the point `name`, and does there what the environment wants done at this hit. The line on stderr
    /// proves that it was reached.
    ///
    /// # Panics
    /// Where that is wanted.
    pub fn reach(name: &str) {
        for armed in ARMED.iter().filter(|armed| armed.name == name) {
            if armed.hits.fetch_add(1, Ordering::SeqCst) + 1 != armed.hit {
                continue;
            }
            let signal = match armed.deed {
                Deed::Kill => Signal::KILL,
                Deed::Stop => Signal::STOP,
                Deed::Panic => panic!("failpoint {name}"),
                Deed::Delay(time) => {
                    eprintln!("failpoint {name}");
                    thread::sleep(time);
                    continue;
                }
            };
            eprintln!("failpoint {name}");
            kill_process(getpid(), signal).expect("a process may send itself a signal");
        }
    }
}
