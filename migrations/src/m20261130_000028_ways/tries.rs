//! What was tried of each case, a letter for each charge.

/// The charges of a case in the order of their time, a letter each: `s` succeeded, `d` declined, `o` neither. What one brought stands
/// behind it in brackets, but for the last that succeeded, which brought what is left of `charged_minor`. `tried_at` and `tried_id` are
/// those of the last, so that most charges only append a letter or change the last one.
pub(super) const COLUMNS: [&str; 4] = [
    "ALTER TABLE report_funnel ADD COLUMN tries TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE report_funnel ADD COLUMN charged_minor {int} NOT NULL DEFAULT 0",
    "ALTER TABLE report_funnel ADD COLUMN tried_at {int} NOT NULL DEFAULT 0",
    "ALTER TABLE report_funnel ADD COLUMN tried_id TEXT NOT NULL DEFAULT ''",
];

/// Stands for the last of all attempts where only its time is known; it comes behind every id.
const UNNAMED: &str = "'~'";

/// The attempts of the cases that `of` narrows them down to, those that no case counts left out, each with its letter.
fn letters(of: &str) -> String {
    format!(
        "SELECT case_id, started_at, id, CASE WHEN status = 'succeeded' THEN amount_minor ELSE 0 END AS minor,
        CASE status WHEN 'declined' THEN 'd' WHEN 'succeeded' THEN CASE WHEN ROW_NUMBER() OVER (PARTITION BY case_id, status
        ORDER BY started_at DESC, id DESC) = 1 THEN 's' ELSE 's(' || CAST(amount_minor AS TEXT) || ')' END ELSE 'o' END AS letter
        FROM attempts WHERE {of} status NOT IN ('not_sent', 'not_needed')"
    )
}

/// The same, each row with the whole word of its case: an aggregate that orders its input is not read by SQLite before 3.44, which a
/// reader of the file may have, a window is.
fn words(of: &str, sqlite: bool) -> String {
    let joined = if sqlite { "group_concat" } else { "string_agg" };
    format!(
        "SELECT case_id, started_at, minor, {joined}(letter, '') OVER (PARTITION BY case_id ORDER BY started_at, id
        ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS word FROM ({}) AS letters",
        letters(of)
    )
}

pub(super) fn so_far(sqlite: bool) -> String {
    format!(
        "INSERT INTO report_funnel (case_id, tries, charged_minor, tried_at, tried_id)
        SELECT case_id, MAX(word), CAST(SUM(minor) AS {{int}}), MAX(started_at), {UNNAMED} FROM ({}) AS words
        WHERE 1 = 1 GROUP BY case_id {ANEW}",
        words("", sqlite)
    )
}

const ANEW: &str = "ON CONFLICT (case_id) DO UPDATE SET tries = excluded.tries, charged_minor = excluded.charged_minor,
        tried_at = excluded.tried_at, tried_id = excluded.tried_id";

/// Whether a case counts the attempt `row`.
fn is_counted(row: &str) -> String {
    format!("{row}.status NOT IN ('not_sent', 'not_needed')")
}

fn letter(row: &str) -> String {
    format!("CASE {row}.status WHEN 'declined' THEN 'd' WHEN 'succeeded' THEN 's' ELSE 'o' END")
}

fn minor(row: &str) -> String {
    format!("CASE {row}.status WHEN 'succeeded' THEN {row}.amount_minor ELSE 0 END")
}

/// Whether there is an `s` in a text: then the letter of another success needs its amount.
fn has_success(text: &str) -> String {
    format!("{text} <> replace({text}, 's', '')")
}

/// Reads all attempts of the case of an attempt anew, where `needed` is so.
fn anew(needed: &str, sqlite: bool) -> String {
    format!(
        "INSERT INTO report_funnel (case_id, tries, charged_minor, tried_at, tried_id)
        SELECT NEW.case_id, word, minor, at, {UNNAMED} FROM (SELECT COALESCE(MAX(word), '') AS word,
        CAST(COALESCE(SUM(minor), 0) AS {int}) AS minor, CAST(COALESCE(MAX(started_at), 0) AS {int}) AS at FROM ({}) AS words)
        AS every WHERE {needed} {ANEW}",
        words("case_id = NEW.case_id AND", sqlite),
        int = if sqlite { "INTEGER" } else { "BIGINT" },
    )
}

/// Appends the letter of a new attempt, where it is the last and not a second success.
fn append() -> String {
    format!(
        "INSERT INTO report_funnel (case_id, tries, charged_minor, tried_at, tried_id)
        SELECT NEW.case_id, {}, {}, NEW.started_at, NEW.id WHERE {}
        ON CONFLICT (case_id) DO UPDATE SET tries = report_funnel.tries || excluded.tries,
        charged_minor = report_funnel.charged_minor + excluded.charged_minor,
        tried_at = excluded.tried_at, tried_id = excluded.tried_id WHERE {}",
        letter("NEW"),
        minor("NEW"),
        is_counted("NEW"),
        may_append("report_funnel")
    )
}

fn may_append(funnel: &str) -> String {
    let tries = format!("{funnel}.tries");
    format!(
        "({funnel}.tried_at < NEW.started_at OR ({funnel}.tried_at = NEW.started_at AND {funnel}.tried_id < NEW.id))
        AND NOT (NEW.status = 'succeeded' AND {})",
        has_success(&tries)
    )
}

/// Changes the last letter, where the attempt is the last and no other one's letter depends on it.
fn change() -> String {
    format!(
        "UPDATE report_funnel SET tries = substr(tries, 1, length(tries) - 1) || {},
        charged_minor = charged_minor - {} + {} WHERE case_id = NEW.case_id AND {}",
        letter("NEW"),
        minor("OLD"),
        minor("NEW"),
        may_change("report_funnel")
    )
}

fn may_change(funnel: &str) -> String {
    let before = format!("substr({funnel}.tries, 1, length({funnel}.tries) - 1)");
    format!(
        "{funnel}.tried_id = NEW.id AND {funnel}.tried_at = NEW.started_at AND OLD.started_at = NEW.started_at
        AND {} AND {} AND NOT ((OLD.status = 'succeeded' OR NEW.status = 'succeeded') AND {})",
        is_counted("OLD"),
        is_counted("NEW"),
        has_success(&before)
    )
}

/// What follows from a new attempt, and from one that changed, in SQLite: what is read anew ends with a last attempt without a name, so
/// that it is not appended or changed once more.
pub(super) fn sqlite() -> [String; 2] {
    let funnel = "SELECT 1 FROM report_funnel f WHERE f.case_id = NEW.case_id";
    let late = format!(
        "{} AND EXISTS ({funnel} AND NOT ({}))",
        is_counted("NEW"),
        may_append("f")
    );
    let other = format!("NOT EXISTS ({funnel} AND {})", may_change("f"));
    [
        format!("{}; {}", anew(&late, true), append()),
        format!("{}; {}", anew(&other, true), change()),
    ]
}

/// The same in PostgreSQL, in one function.
pub(super) fn postgres() -> String {
    let anew = anew("TRUE", false);
    format!(
        "IF TG_OP = 'INSERT' THEN
            IF NOT ({}) THEN RETURN NULL; END IF;
            {};
        ELSE
            {};
        END IF;
        IF NOT FOUND THEN {anew}; END IF",
        is_counted("NEW"),
        append(),
        change()
    )
}
