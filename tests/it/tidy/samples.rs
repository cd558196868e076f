//! Small bad files, each of which a rule must refuse, and good ones that look bad.

use super::size::functions;
use super::source::Source;
use super::{belongs_at_the_top, check};

#[track_caller]
fn refused(path: &str, text: &str, breaches: &[&str]) {
    assert_eq!(check(&Source::new(path, text)), breaches, "{path}: {text}");
}

#[track_caller]
fn kept(path: &str, text: &str) {
    refused(path, text, &[]);
}

#[test]
fn imports_go_down() {
    let told = "src/store/cases.rs:1: `store` may not import `mailer`";
    refused("src/store/cases.rs", "use crate::mailer;\n", &[told]);
    refused(
        "src/store/cases.rs",
        "use crate::{clock::Clock, mailer::{self, render}};",
        &[told, told],
    );
    refused(
        "src/store/cases.rs",
        "fn f() { crate :: x(); crate::mailer::send() }",
        &[told],
    );
    refused("src/store/cases.rs", "use super::super::mailer::render;", &[told]);
    refused(
        "src/store.rs",
        "use super::engine;",
        &["src/store.rs:1: `store` may not import `engine`"],
    );
    refused(
        "src/config/http.rs",
        "\nuse crate::clock;",
        &["src/config/http.rs:2: `config` may not import `clock`"],
    );
    refused(
        "src/http/pages.rs",
        "use crate::sandbox;",
        &["src/http/pages.rs:1: `http` may not import `sandbox`"],
    );
    refused(
        "src/cellar.rs",
        "",
        &["src/cellar.rs:1: the room `cellar` has no floor"],
    );
    refused(
        "src/engine.rs",
        "use crate::Thing as T;",
        &["src/engine.rs:1: `Thing` is no room with a floor"],
    );
    kept(
        "src/store/cases.rs",
        "use crate::{clock::Clock, domain};\nuse super::inbox;\nuse crate::store::outbox;",
    );
    kept(
        "src/store/cases.rs",
        "// use crate::mailer;\nconst A: &str = \"crate::mailer\";",
    );
    kept("src/cli.rs", "use crate::{app, http, sandbox};");
}

#[test]
fn the_ground_floor_is_pure() {
    let path = "src/domain/case.rs";
    refused(
        path,
        "async fn f() {}",
        &["src/domain/case.rs:1: the pure floor is not async"],
    );
    refused(
        path,
        "use std::{fmt, fs};",
        &["src/domain/case.rs:1: the pure floor names `std::fs`"],
    );
    refused(
        path,
        "fn f() { tracing::info!(\"x\") }",
        &["src/domain/case.rs:1: the pure floor names `tracing::info`"],
    );
    refused(
        path,
        "use std::sync::{LazyLock, Mutex};",
        &["src/domain/case.rs:1: the pure floor names `std::sync::Mutex`"],
    );
    kept(path, "use std::fmt;\n#[cfg(test)]\nmod tests { use std::fs; }");
    kept(
        path,
        "use std::sync::LazyLock;\nstatic A: LazyLock<u8> = LazyLock::new(|| 1);",
    );
}

#[test]
fn time_and_entropy_come_from_the_clock() {
    let told = |what: &str| format!("src/engine/tick.rs:1: takes `{what}` outside the clock");
    let path = "src/engine/tick.rs";
    refused(
        path,
        "fn f() { let _ = jiff::Timestamp::now(); }",
        &[&told("jiff::Timestamp::now")],
    );
    refused(path, "fn f() { let _ = Instant::now(); }", &[&told("Instant::now")]);
    refused(path, "use rand::Rng;", &[&told("rand::Rng")]);
    refused(
        "src/domain/learning/arms.rs",
        "fn f() { rand::rng() }",
        &["src/domain/learning/arms.rs:1: takes `rand::rng` outside the clock"],
    );
    for name in ["random_range", "rngs::SysRng", "make_rng"] {
        let told = format!("src/domain/learning/arms.rs:1: takes `rand::{name}` outside the clock");
        refused("src/domain/learning/arms.rs", &format!("use rand::{name};"), &[&told]);
    }
    kept(
        "src/domain/learning/arms.rs",
        "use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};",
    );
    kept(path, "fn f() { operand::now(); tokio::time::Instant::now(); }");
    kept("src/clock.rs", "fn f() { Timestamp::now() }");
    kept("src/http/edge.rs", "fn f() { Instant::now() }");
}

#[test]
fn unfinished_and_silenced_code_is_refused() {
    let path = "src/engine.rs";
    for text in ["fn f() { todo!() }", "fn f() { unimplemented!() }"] {
        refused(path, text, &["src/engine.rs:1: unfinished"]);
    }
    for text in ["// TODO: later", "/* a\u{20}FIXME */", "/// FIXME\nfn f() {}"] {
        refused(path, text, &["src/engine.rs:1: unfinished, by its own words"]);
    }
    refused(
        path,
        "#[allow(dead_code)]\nfn f() {}",
        &["src/engine.rs:1: `#[allow` is banned"],
    );
    refused(
        "tests/it/a.rs",
        "\n#[ignore = \"slow\"]\nfn f() {}",
        &["tests/it/a.rs:2: `#[ignore` is banned"],
    );
    refused(
        "tests/it/a.rs",
        "fn f() { std::thread::sleep(d) }",
        &["tests/it/a.rs:1: a test sleeps"],
    );
    refused(
        path,
        "#[cfg(test)]\nmod tests { fn f() { sleep(1) } }",
        &["src/engine.rs:2: a test sleeps"],
    );
    refused(
        "src/engine/mod.rs",
        "",
        &["src/engine/mod.rs:1: is named mod.rs; name it after its room"],
    );
    refused(
        path,
        "fn f() { g().unwrap() }",
        &["src/engine.rs:1: unwraps outside a test"],
    );
    kept(
        path,
        "fn f() { sleep(1) }\n#[cfg(test)]\n#[expect(x)]\nmod tests { fn f() { g().unwrap() } }",
    );
    kept(path, "const MASTODON: &str = \"TODO #[allow todo!( .unwrap()\";");
}

#[test]
fn code_after_a_test_module_is_still_read() {
    let text = "#[cfg(test)]\nmod tests { const BRACE: char = '}'; const B: &str = \"}\"; fn f() { a.unwrap() } }\nfn g() { a.unwrap() }";
    refused("src/engine.rs", text, &["src/engine.rs:3: unwraps outside a test"]);
    refused(
        "src/engine.rs",
        "#[cfg(test)]\nmod tests;\nfn g() { a.unwrap() }",
        &["src/engine.rs:3: unwraps outside a test"],
    );
}

#[test]
fn a_file_of_tests_is_known_by_its_name_and_kept_out_of_the_program() {
    kept("src/domain/report/tests.rs", "use super::*;\nfn f() { g().unwrap() }");
    kept("src/domain/report/tests/sums.rs", "fn f() { g().unwrap() }");
    refused(
        "src/domain/report/tests.rs",
        "fn f() { sleep(1) }",
        &["src/domain/report/tests.rs:1: a test sleeps"],
    );
    kept("src/domain/report.rs", "#[cfg(test)]\nmod tests;");
    let told = "src/domain/report.rs:1: a module of tests goes behind `#[cfg(test)]`";
    refused("src/domain/report.rs", "mod tests;", &[told]);
}

#[test]
fn only_the_handler_writes_case_state() {
    let told = "src/engine/tick.rs:1: writes case state; only src/engine/handle.rs may";
    refused("src/engine/tick.rs", "fn f() { store::cases::save(x) }", &[told]);
    refused("src/engine/tick.rs", "use crate::store::cases::{find, save};", &[told]);
    kept("src/engine/handle.rs", "fn f() { store::cases::save(x) }");
    kept("src/engine/tick.rs", "fn f() { cases::save_note(x); notes::save(x) }");
}

#[test]
fn files_and_functions_are_short() {
    refused(
        "tests/it/a.rs",
        &"\n".repeat(501),
        &["tests/it/a.rs:501: the file has 501 lines, more than 500"],
    );
    kept("tests/it/a.rs", &"\n".repeat(500));
    let long = |lines: usize| format!("\nfn f() {{\n{}}}\n", "x;\n".repeat(lines - 2));
    refused(
        "benches/a.rs",
        &long(71),
        &["benches/a.rs:2: the function has 71 lines, more than 70"],
    );
    kept("benches/a.rs", &long(70));
}

#[test]
fn braces_in_texts_do_not_count() {
    let rows = [
        ("fn f() {\n\"}\";\n}\n", 3),
        ("fn f() {\n\"\\\"}\";\n'}'; '\\''; b'}'; '\\u{7d}'; 'é';\n}\n", 4),
        ("fn f<'a>(x: &'a str) {\nr#\"}\"}\"#; br\"}\"; r\"\\\";\n}\n", 3),
        ("fn f() {\n// }\n/* } /* } */ } */\n}\n", 4),
        (
            "fn f(a: [u8; 2], g: fn(u8) -> u8) -> [u8; 2]\nwhere\n    T: A,\n{\n}\n",
            5,
        ),
        (
            "fn f() {\nlet r#fn = 1; let f: fn(u8) = g;\nif a { b } else { c }\n}\n",
            4,
        ),
        ("pub(crate) const unsafe extern \"C\" fn f() {\n}\n", 2),
    ];
    for (text, lines) in rows {
        let code = Source::new("src/engine.rs", text).code;
        assert_eq!(functions(&code), [(1, lines)], "{text}");
    }
    let declared = Source::new("src/engine.rs", "trait T {\nfn a(&self);\nfn b() {\n}\n}").code;
    assert_eq!(functions(&declared), [(3, 2)]);
}

#[test]
fn strays_at_the_top_are_seen() {
    assert!(!belongs_at_the_top("notes.md", "/target\n/recoup.db*\n"));
    assert!(!belongs_at_the_top("docs", "/target\n"));
    for name in ["src", ".ci", "target", "recoup.db-wal"] {
        assert!(belongs_at_the_top(name, "/target\n/recoup.db*\n"), "{name}");
    }
}
