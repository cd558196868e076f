//! Who may do what, for every route of the document and every role.

use recoup::domain::role::Role;
use recoup::http::rules;
use reqwest::Method;

use super::contract::operations;
use super::{BOOTSTRAP, Stage, stage};

#[test]
fn each_role_reaches_its_routes_and_no_other() {
    stage(async |stage| {
        let case = stage.open_case("insufficient_funds").await;
        for role in Role::ALL {
            let key = stage.key(*role).await;
            for (method, path, _) in operations() {
                if path.starts_with("/v1/") {
                    check(stage, *role, &key, &method, &path, &case).await;
                }
            }
        }
    });
}

async fn check(stage: &Stage, role: Role, key: &str, method: &str, pattern: &str, case: &str) {
    let verb: Method = method.parse().unwrap();
    let needed = rules::needed(&method.parse().unwrap(), pattern).unwrap_or_else(|| panic!("no rule: {pattern}"));
    let path = pattern
        .replace("/cases/{id}", &format!("/cases/{case}"))
        .replace("{name}", "default");
    let path = path.replace("{id}", "none");
    let request = |token: &str| stage.client.request(verb.clone(), stage.url(&path)).bearer_auth(token);
    let seen = stage.send(request(key)).await;
    let what = format!("{role} {method} {pattern}: {} {}", seen.status, seen.text);
    if role.allows(needed) {
        assert!(!matches!(seen.status, 401 | 403 | 405) && seen.status < 500, "{what}");
    } else {
        assert_eq!((seen.status, seen.code().as_str()), (403, "forbidden"), "{what}");
    }
    let nobody = stage.send(stage.client.request(verb.clone(), stage.url(&path))).await;
    assert_eq!(
        (nobody.status, nobody.code().as_str()),
        (401, "unauthorized"),
        "{method} {pattern}"
    );
    assert!(
        nobody.header("www-authenticate").starts_with("Bearer"),
        "{method} {pattern}"
    );
}

#[test]
fn a_key_that_is_wrong_revoked_or_cut_opens_nothing() {
    stage(async |stage| {
        let key = stage.key(Role::Viewer).await;
        let get = async |token: &str| {
            stage
                .send(stage.client.get(stage.url("/v1/cases")).bearer_auth(token))
                .await
                .status
        };
        assert_eq!(get(&key).await, 200);
        let mut altered = key.clone();
        let last = altered.pop().unwrap();
        altered.push(if last == '0' { '1' } else { '0' });
        for wrong in [
            altered.as_str(),
            &key[..key.len() - 1],
            "rcp_",
            "x",
            "",
            &BOOTSTRAP[1..],
        ] {
            assert_eq!(get(wrong).await, 401, "{wrong}");
        }
        let basic = stage.client.get(stage.url("/v1/cases")).basic_auth("x", Some(&key));
        assert_eq!(stage.send(basic).await.status, 401);
        let keys = stage.get("/v1/keys").await.json();
        let id = keys["data"][0]["id"].as_str().unwrap().to_owned();
        assert!(keys["data"][0].get("secret_hash").is_none());
        let revoked = stage
            .post(&format!("/v1/keys/{id}/revoke"), &serde_json::json!({}))
            .await;
        assert_eq!(revoked.status, 200, "{}", revoked.text);
        assert!(revoked.json()["revoked_at"].is_string());
        assert_eq!(get(&key).await, 401);
    });
}
