//! The limits of rendering.

use super::*;

fn outcome(name: &'static str, source: &'static str) -> Result<String, String> {
    let mut environment = environment().unwrap();
    environment.add_template(name, source).unwrap();
    let mut context = MailContext::samples(Message::Reminder).remove(0);
    "<Larkspur>".clone_into(&mut context.company_name);
    let view = context.view(Message::Reminder, Locale::pick(None, None)).unwrap();
    rendered(&environment, name, &Value::from(Serde(&view))).map_err(|error| format!("{error} {error:?}"))
}

#[test]
fn a_missing_variable_is_an_error_that_tells_no_facts() {
    let error = outcome("x.txt", "Dear {{ first_name }},").unwrap_err();
    assert!(error.contains("x.txt") && !error.contains("Marlene"), "{error}");
    assert!(outcome("x.txt", "{% if first_name %}Dear{% endif %}").is_err());
}

#[test]
fn a_template_that_runs_away_is_stopped() {
    let endless = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
    assert!(outcome("x.txt", endless).unwrap_err().contains("fuel"));
    let long = "{% for a in range(2000) %}0123456789012345678901234567890123456789{% endfor %}";
    assert!(outcome("x.txt", long).unwrap_err().contains("more than"));
}

/// Fuel bounds the steps and not the memory: text that doubles in a loop ends the process before the fuel does. The
/// templates are built in, nobody gives others, and none of ours could do it.
#[test]
fn no_template_joins_text_in_a_loop() {
    for locale in Locale::all() {
        for (path, sources) in texts(locale) {
            for word in ["{% for", "{%- for", "{% set", "{%- set", "{% macro", "{%- macro"] {
                assert!(!sources.concat().contains(word), "{} {path}: {word}", locale.tag());
            }
        }
    }
    for layout in [LAYOUT_MJML, LAYOUT_TXT.1] {
        assert!(!layout.contains("{% set") && !layout.contains("{% macro"), "{layout}");
    }
    let templates = Templates::new().unwrap();
    assert!(templates.check().is_ok() && templates.layouts.fuel() == Some(FUEL));
}

#[test]
fn the_file_name_decides_what_is_escaped() {
    assert_eq!(outcome("x.html", "{{ company }}").unwrap(), "&lt;Larkspur&gt;");
    assert_eq!(outcome("x.txt", "{{ company }}").unwrap(), "<Larkspur>");
}
