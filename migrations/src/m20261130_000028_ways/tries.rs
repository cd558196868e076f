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

/// Whether the letter of the attempt `new` may be appended: it is the last, and not a second success.
fn may_append(funnel: &str, new: &str) -> String {
    format!(
        "({funnel}.tried_at < {new}.started_at OR ({funnel}.tried_at = {new}.started_at AND {funnel}.tried_id < {new}.id))
        AND NOT ({new}.status = 'succeeded' AND {})",
        has_success(&format!("{funnel}.tries"))
    )
}

/// Whether the last letter may be changed to that of the attempt `new`, which was `old`: it is the last, and no other one's letter
/// depends on it.
fn may_change(funnel: &str, [old, new]: [&str; 2]) -> String {
    format!(
        "{funnel}.tried_id = {new}.id AND {funnel}.tried_at = {new}.started_at AND {old}.started_at = {new}.started_at
        AND {} AND {} AND NOT (({old}.status = 'succeeded' OR {new}.status = 'succeeded') AND {})",
        is_counted(old),
        is_counted(new),
        has_success(&before_last(funnel))
    )
}

fn before_last(funnel: &str) -> String {
    format!("substr({funnel}.tries, 1, length({funnel}.tries) - 1)")
}

/// Whether an attempt changed in what is told of it here.
pub(super) fn settled([old, new]: [&str; 2]) -> String {
    format!(
        "({new}.status <> {old}.status OR {new}.amount_minor <> {old}.amount_minor OR {new}.started_at <> {old}.started_at)"
    )
}

/// Appends the letters of the attempts `new` of `from`, where they may be.
fn append(new: &str, from: &str) -> String {
    format!(
        "INSERT INTO report_funnel (case_id, tries, charged_minor, tried_at, tried_id)
        SELECT {new}.case_id, {}, {}, {new}.started_at, {new}.id {from} WHERE {}
        ON CONFLICT (case_id) DO UPDATE SET tries = report_funnel.tries || excluded.tries,
        charged_minor = report_funnel.charged_minor + excluded.charged_minor,
        tried_at = excluded.tried_at, tried_id = excluded.tried_id WHERE
        (report_funnel.tried_at < excluded.tried_at
            OR (report_funnel.tried_at = excluded.tried_at AND report_funnel.tried_id < excluded.tried_id))
        AND NOT (excluded.tries = 's' AND {})",
        letter(new),
        minor(new),
        is_counted(new),
        has_success("report_funnel.tries")
    )
}

/// Changes the last letter, where it may be.
fn change([old, new]: [&str; 2], from: &str) -> String {
    format!(
        "UPDATE report_funnel SET tries = {} || {}, charged_minor = charged_minor - {} + {} {from}
        report_funnel.case_id = {new}.case_id AND {}",
        before_last("report_funnel"),
        letter(new),
        minor(old),
        minor(new),
        may_change("report_funnel", [old, new])
    )
}

/// What follows from a new attempt, and from one that changed, in SQLite: what is read anew ends with a last attempt without a name, so
/// that it is not appended or changed once more.
pub(super) fn sqlite() -> [String; 2] {
    let funnel = "SELECT 1 FROM report_funnel f WHERE f.case_id = NEW.case_id";
    let rows = ["OLD", "NEW"];
    let late = format!(
        "{} AND EXISTS ({funnel} AND NOT ({}))",
        is_counted("NEW"),
        may_append("f", "NEW")
    );
    let other = format!("NOT EXISTS ({funnel} AND {})", may_change("f", rows));
    let anew = |needed: &str| {
        format!(
            "INSERT INTO report_funnel (case_id, tries, charged_minor, tried_at, tried_id)
            SELECT NEW.case_id, word, minor, at, {UNNAMED} FROM (SELECT COALESCE(MAX(word), '') AS word,
            COALESCE(SUM(minor), 0) AS minor, COALESCE(MAX(started_at), 0) AS at FROM ({}) AS words)
            AS every WHERE {needed} {ANEW}",
            words("case_id = NEW.case_id AND", true),
        )
    };
    [
        format!("{}; {}", anew(&late), append("NEW", "")),
        format!("{}; {}", anew(&other), change(rows, "WHERE")),
    ]
}

/// The same in PostgreSQL, for all attempts that one statement wrote: a function of its own for those that are new and those that
/// changed. No plan reads a whole table, whatever is known of its size when it is made.
pub(super) fn postgres() -> [String; 2] {
    let anew = format!(
        "INSERT INTO report_funnel (case_id, tries, charged_minor, tried_at, tried_id)
        SELECT other.case_id, COALESCE(MAX(word), ''), CAST(COALESCE(SUM(minor), 0) AS BIGINT), COALESCE(MAX(started_at), 0), {UNNAMED}
        FROM unnest(others) AS other (case_id) LEFT JOIN ({}) AS words ON words.case_id = other.case_id
        GROUP BY other.case_id {ANEW}",
        words("case_id = ANY (others) AND", false)
    );
    let function = |name: &str, others: &str, rest: &str| {
        format!(
            "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $do$ DECLARE others TEXT[];
            BEGIN SELECT array_agg(DISTINCT case_id) INTO others FROM ({others}) AS those;
            IF others IS NOT NULL THEN {anew}; END IF; {rest}; RETURN NULL; END $do$"
        )
    };
    let rows = ["o", "n"];
    let changed = format!(
        "former o JOIN fresh n ON n.id = o.id AND n.case_id = o.case_id WHERE {}",
        settled(rows)
    );
    [
        function(
            "report_tried",
            &format!(
                "SELECT n.case_id FROM (SELECT *, COUNT(*) OVER (PARTITION BY case_id) AS of_case FROM fresh) AS n
                WHERE {} AND (of_case > 1 OR EXISTS (SELECT 1 FROM report_funnel f WHERE f.case_id = n.case_id AND NOT ({})))",
                is_counted("n"),
                may_append("f", "n")
            ),
            &append("n", "FROM (SELECT DISTINCT ON (case_id) * FROM fresh ORDER BY case_id) AS n"),
        ),
        function(
            "report_fate",
            &format!(
                "SELECT n.case_id FROM {changed} AND NOT EXISTS (SELECT 1 FROM report_funnel f WHERE f.case_id = n.case_id AND {})",
                may_change("f", rows)
            ),
            &change(rows, &format!("FROM {changed} AND")),
        ),
    ]
}
