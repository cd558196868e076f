//! Random histories, rules and clocks: whoever obeys the ceiling breaks no rule, and a wait that is over is over.

use std::time::Duration;

use recoup::domain::case::Origin;
use serde_json::Value;

use super::worlds::{FILE, World};

/// How many worlds are played; `RECOUP_CEILING_CASES` asks for more, and `RECOUP_CEILING_SEED` for the same ones again.
const CASES: u64 = 10_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn whoever_obeys_the_ceiling_breaks_no_rule() {
    let cases = number("RECOUP_CEILING_CASES").unwrap_or(CASES);
    #[expect(clippy::cast_possible_truncation, reason = "any 64 bits do")]
    let seed = number("RECOUP_CEILING_SEED").unwrap_or_else(|| recoup::clock::entropy() as u64);
    println!("RECOUP_CEILING_SEED={seed}, {cases} worlds");
    let (mut asked, mut took, mut made) = (0, Duration::ZERO, 0);
    for nth in 0..cases {
        let mut world = World::new(seed, nth);
        world.play();
        let broken = world.judge();
        assert!(
            broken.is_empty(),
            "RECOUP_CEILING_SEED={seed}, world {nth} on {}: {broken:?}\n{:#?}",
            world.instrument.network,
            world.history
        );
        asked += world.asked;
        took += world.took;
        made += world.history.iter().filter(|past| past.origin == Origin::Us).count();
    }
    println!("{asked} times asked, {made} charges, {:?} a question", took / asked);
    assert!(
        made > 5 * usize::try_from(cases).unwrap(),
        "hardly anything was ever allowed"
    );
}

/// A judge that misses nothing finds what a ceiling with a hole lets through.
#[test]
fn the_judge_finds_what_a_ceiling_with_a_hole_lets_through() {
    let names: Vec<String> = serde_json::from_str::<Value>(FILE).unwrap()["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["rule"].as_str().unwrap().to_owned())
        // The other wait of the same advice, and the country that nobody is of, hide these.
        .filter(|name| name != "mastercard_advice_fee" && name != "india_cards")
        .collect();
    for name in names {
        let found = (0..4000).any(|nth| {
            let mut world = World::new(1, nth);
            world.rules.rules.retain(|rule| rule.rule.as_str() != name);
            world.play();
            world.judge().contains(&name)
        });
        assert!(found, "nobody missed {name}");
    }
}
