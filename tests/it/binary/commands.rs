//! The commands, one story each.

use super::{Service, json, run, written};

#[test]
fn check_lists_every_fault_by_key_and_shows_no_value() {
    let folder = tempfile::tempdir().unwrap();
    let bad = [
        ("RECOUP__STRIPE__API_KEY", "sk CANARY"),
        ("RECOUP__ADMIN__BOOTSTRAP_KEY", "CANARY"),
        ("RECOUP__HTTP__LISTEN", "CANARY"),
        ("RECOUP__NOWHERE__KEY", "CANARY"),
    ];
    let told = run(folder.path(), &["check"], &bad);
    let text = written(&told);
    assert_eq!(told.status.code(), Some(1), "{text}");
    for key in [
        "stripe.api_key",
        "stripe.webhook_secrets",
        "admin.bootstrap_key",
        "http.listen",
        "nowhere",
    ] {
        assert!(text.contains(key), "{key} is not named: {text}");
    }
    assert!(!text.contains("CANARY"), "{text}");
}

#[test]
fn check_tells_of_a_dkim_key_that_cannot_sign() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dkim.pem");
    let file = file.to_str().unwrap();
    let settings = [
        ("RECOUP__MAIL__FROM", "Acme <billing@acme.example>"),
        ("RECOUP__MAIL__DKIM_DOMAIN", "acme.example"),
        ("RECOUP__MAIL__DKIM_SELECTOR", "2026a"),
        ("RECOUP__MAIL__DKIM_KEY_FILE", file),
    ];
    for (key, code) in [
        (include_str!("../../fixtures/dkim/rsa.pem"), 0),
        (include_str!("../../fixtures/dkim/ed25519.pem"), 0),
        (include_str!("../../fixtures/dkim/short.pem"), 1),
    ] {
        std::fs::write(file, key).unwrap();
        let told = run(folder.path(), &["check"], &settings);
        let text = written(&told);
        assert_eq!(told.status.code(), Some(code), "{text}");
        assert_eq!(text.contains("mail.dkim_key: "), code == 1, "{text}");
        assert!(!text.contains("MII"), "{text}");
    }
}

#[test]
fn check_reads_every_campaign_of_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let good = run(folder.path(), &["check"], &[]);
    assert_eq!(good.status.code(), Some(0), "{}", written(&good));

    let campaigns = folder.path().join("campaigns");
    std::fs::create_dir(&campaigns).unwrap();
    std::fs::write(campaigns.join("one.toml"), "name = 1").unwrap();
    std::fs::write(campaigns.join("two.toml"), "neither").unwrap();
    let bad = run(
        folder.path(),
        &["check"],
        &[("RECOUP__CAMPAIGNS__DIR", campaigns.to_str().unwrap())],
    );
    let text = written(&bad);
    assert_eq!(bad.status.code(), Some(1), "{text}");
    assert!(
        text.contains("one.toml:1:8: ") && text.contains("two.toml:1:8: "),
        "{text}"
    );
}

#[test]
fn check_tells_what_a_campaign_cannot_mean() {
    let folder = tempfile::tempdir().unwrap();
    let campaigns = folder.path().join("campaigns");
    std::fs::create_dir(&campaigns).unwrap();
    let text = recoup::domain::campaign::EMBEDDED.replace("message = \"final_notice\"", "message = \"reminder\"");
    let file = campaigns.join("default.toml");
    std::fs::write(&file, &text).unwrap();
    let line = text.lines().position(|line| line.starts_with("action = ")).unwrap() + 1;
    let dir = campaigns.to_str().unwrap();
    let bad = run(folder.path(), &["check"], &[("RECOUP__CAMPAIGNS__DIR", dir)]);
    let told = written(&bad);
    assert_eq!(bad.status.code(), Some(1), "{told}");
    let expected = format!("{}:{line}:1: nobody tells customers", file.display());
    assert!(told.contains(&expected), "{expected} in {told}");

    std::fs::write(&file, recoup::domain::campaign::EMBEDDED).unwrap();
    let by_provider = [
        ("RECOUP__CAMPAIGNS__DIR", dir),
        ("RECOUP__STRIPE__API_KEY", "sk_test_1"),
        ("RECOUP__STRIPE__WEBHOOK_SECRETS", "whsec_of_the_check"),
        ("RECOUP__STRIPE__COLLECTOR", "provider"),
    ];
    let told = written(&run(folder.path(), &["check"], &by_provider));
    assert!(
        told.contains("default.toml") && told.contains("the provider retries by itself"),
        "{told}"
    );
}

#[test]
fn migrating_twice_is_well() {
    let folder = tempfile::tempdir().unwrap();
    let told = |()| {
        let output = run(folder.path(), &["migrate"], &[]);
        assert_eq!(output.status.code(), Some(0), "{}", written(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(told(()), "the schema was brought up to date\n");
    assert_eq!(told(()), "the schema is up to date\n");
}

#[test]
fn the_documents_are_printed_as_they_are_committed() {
    let folder = tempfile::tempdir().unwrap();
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi");
    for (command, file) in [
        (&["openapi"][..], "openapi.json"),
        (&["openapi", "--campaign-schema"], "campaign.schema.json"),
    ] {
        let printed = run(folder.path(), command, &[]);
        assert_eq!(printed.status.code(), Some(0));
        assert!(
            printed.stdout == std::fs::read(format!("{committed}/{file}")).unwrap(),
            "{file}"
        );
        assert_eq!(printed.stderr, b"");
    }
}

#[test]
fn a_key_that_was_created_works_at_the_service() {
    let folder = tempfile::tempdir().unwrap();
    let created = run(
        folder.path(),
        &["keys", "create", "--role", "viewer", "--name", "tests"],
        &[],
    );
    assert_eq!(created.status.code(), Some(0), "{}", written(&created));
    let key = String::from_utf8(created.stdout).unwrap();
    let service = Service::start(folder, &[]);
    let (status, body) = service.get("/v1/cases", Some(key.trim()));
    assert_eq!((status, json(&body)["data"].as_array().map(Vec::len)), (200, Some(0)));
    assert_eq!(service.get("/v1/cases", None).0, 401);
    assert_eq!(service.get("/v1/audit", Some(key.trim())).0, 403);
    assert_eq!(service.terminate().0, Some(0));
}

#[test]
fn it_serves_until_it_is_told_to_stop() {
    let service = Service::start(tempfile::tempdir().unwrap(), &[]);
    assert_eq!(service.get("/healthz", None).0, 200);
    assert_eq!(service.get("/readyz", None).0, 200);
    let told = run(
        service.folder.path(),
        &["healthcheck", "--url", &format!("http://{}", service.address)],
        &[],
    );
    assert_eq!(told.status.code(), Some(0), "{}", written(&told));
    let address = service.address;
    let (code, rest, log) = service.terminate();
    assert_eq!((code, rest.as_str()), (Some(0), ""), "{log}");
    // Logs are JSON where nobody watches a terminal.
    assert!(
        !log.is_empty() && log.lines().all(|line| json(line)["level"].is_string()),
        "{log}"
    );

    let folder = tempfile::tempdir().unwrap();
    let told = run(
        folder.path(),
        &["healthcheck", "--url", &format!("http://{address}")],
        &[],
    );
    assert_eq!(told.status.code(), Some(1), "{}", written(&told));
}

#[test]
fn a_service_that_cannot_start_says_which_key_is_at_fault() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let told = run(folder.path(), &["serve"], &[("RECOUP__HTTP__LISTEN", &address)]);
    assert_eq!(told.status.code(), Some(1));
    assert!(written(&told).contains("http.listen"), "{}", written(&told));

    let nowhere = folder.path().join("no/such/folder/recoup.db");
    let url = format!("sqlite://{}", nowhere.display());
    let told = run(folder.path(), &["migrate"], &[("RECOUP__DATABASE__URL", &url)]);
    assert_eq!(told.status.code(), Some(1));
    assert!(written(&told).contains("database.url"), "{}", written(&told));
}

#[test]
fn campaigns_are_simulated_as_they_stand() {
    let folder = tempfile::tempdir().unwrap();
    let campaigns = folder.path().join("campaigns");
    std::fs::create_dir(&campaigns).unwrap();
    let patient = "name = \"patient\"\nversion = 3\n[[ladder]]\nkinds = [\"insufficient_funds\"]\ndays = [4, 7, 11, 13]\n\
                   [final]\nafter_days = 21\nat = \"09:00\"\naction = \"leave_open\"\n";
    std::fs::write(campaigns.join("patient.toml"), patient).unwrap();
    let keen = patient
        .replace("name = \"patient\"", "name = \"keen\"")
        .replace("days = [4, 7, 11, 13]", "planned = { charges = 6, within_days = 10 }");
    assert_ne!(keen, patient);
    std::fs::write(campaigns.join("keen.toml"), keen).unwrap();
    let simulate = |more: &[&str]| {
        let small = [
            "simulate",
            "--failures",
            "200",
            "--seeds",
            "1",
            "--campaigns",
            campaigns.to_str().unwrap(),
        ];
        let output = run(folder.path(), &[&small, more].concat(), &[]);
        assert_eq!(output.status.code(), Some(0), "{}", written(&output));
        // How fast it was differs each time, and so it is told apart.
        let speed = String::from_utf8(output.stderr).unwrap();
        assert!(speed.contains("case-months a second"), "{speed}");
        String::from_utf8(output.stdout).unwrap()
    };
    let (once, again) = (simulate(&["--json"]), simulate(&["--json"]));
    assert_eq!(
        once, again,
        "the same seeds give the same bytes, however many cores share the work"
    );
    let comparison = json(&once);
    assert_eq!(comparison["budgets"][0]["attempts"], 4);
    let lines = comparison["budgets"][0]["policies"].as_array().unwrap();
    let names: Vec<_> = lines.iter().map(|line| line["policy"].as_str().unwrap()).collect();
    assert!(
        names.contains(&"patient@3") && names.contains(&"even 09:00"),
        "{names:?}"
    );
    rules_and_cold_starts_are_told(&comparison["budgets"][0]);
    let table = simulate(&[]);
    for told in [
        "patient@3",
        "keen@3",
        "us_paydays",
        "cold start",
        "rule violations",
        "mastercard_wait",
    ] {
        assert!(table.contains(told), "{told}: {table}");
    }

    std::fs::write(campaigns.join("patient.toml"), "name = 1").unwrap();
    let bad = run(
        folder.path(),
        &["simulate", "--campaigns", campaigns.to_str().unwrap()],
        &[],
    );
    assert_eq!(bad.status.code(), Some(1));
    assert!(written(&bad).contains("patient.toml"), "{}", written(&bad));
}

/// Days are the same whatever was seen and would break rules if nobody asked; an arm tells its chances and asks.
fn rules_and_cold_starts_are_told(budget: &serde_json::Value) {
    let lines = budget["policies"].as_array().unwrap();
    let line = |name: &str| lines.iter().find(|line| line["policy"] == name).unwrap();
    let (patient, keen) = (line("patient@3"), line("keen@3"));
    assert!(patient["would_break"]["charges"].as_u64().unwrap() > 0, "{patient}");
    assert!(patient["calibration_error"].is_null() && keen["would_break"].is_null());
    assert!(keen["calibration_error"].as_f64().unwrap() < 20.0, "{keen}");
    for line in lines {
        assert_eq!(line["broken"]["charges"], 0, "{line}");
    }
    let cold = budget["cold_start"].as_array().unwrap();
    assert_eq!(cold.len(), 2, "at 100 failures and at all 200");
    assert_eq!(cold[0]["policies"].as_array().unwrap().len(), lines.len());
}

/// The links of the first admin that a log shows, from their path on.
fn first_links(log: &str) -> Vec<String> {
    let path = "/dashboard/welcome/";
    let found = log
        .match_indices(path)
        .map(|(at, _)| log[at..at + path.len() + 64].to_owned());
    found.collect()
}

#[test]
fn the_first_start_shows_the_way_in_until_there_is_somebody() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}", folder.path().join("recoup.db").display());
    let variables = [
        ("RECOUP__DATABASE__URL", database.as_str()),
        ("RECOUP__HTTP__PUBLIC_URL", "https://recoup.example"),
    ];
    let start = || Service::start(tempfile::tempdir().unwrap(), &variables);
    let shown = |service: &Service| first_links(&std::fs::read_to_string(service.folder.path().join("log")).unwrap());

    let service = start();
    let first = shown(&service);
    assert_eq!(first.len(), 1, "{first:?}");
    assert_eq!(service.get(&first[0], None).0, 200);
    let (_, stdout, log) = service.terminate();
    assert!(!stdout.contains("welcome") && log.contains("https://recoup.example/dashboard/welcome/"));

    let service = start();
    let second = shown(&service);
    assert_eq!(second.len(), 1, "{second:?}");
    assert_eq!(service.get(&first[0], None).0, 404);
    let invite = [
        "people",
        "invite",
        "--email",
        "ada@acme.example",
        "--name",
        "Ada",
        "--role",
        "admin",
    ];
    let told = run(folder.path(), &invite, &variables);
    let link = String::from_utf8(told.stdout.clone()).unwrap();
    let path = link.trim().strip_prefix("https://recoup.example").unwrap().to_owned();
    let (status, page) = service.get(&path, None);
    assert!(status == 200 && page.contains("ada@acme.example"), "{page}");
    let reset = ["people", "reset", "--email", "ada@acme.example"];
    assert_eq!(run(folder.path(), &reset, &variables).status.code(), Some(0));
    assert_eq!(service.get(&path, None).0, 404, "a newer one took its place");
    let nobody = run(
        folder.path(),
        &["people", "reset", "--email", "bo@acme.example"],
        &variables,
    );
    assert!(nobody.status.code() == Some(1) && written(&nobody).contains("nobody has this address"));
    service.terminate();

    let service = start();
    assert_eq!(shown(&service), Vec::<String>::new());
    service.terminate();
}
