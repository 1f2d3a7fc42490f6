//! The Postman collection and its environment, made from the registry of reports: a person imports both, sets
//! `base_url`, `authtoken` and `orgUid`, and every request runs. The job's id flows from the submit to Retrieve Data by
//! itself; Retrieve Data asks again until the job is no longer active.

use serde_json::{Value, json};
use tally_jobs::parameters::Parameter;
use tally_jobs::reports::{About, REPORTS};

/// How often Retrieve Data asks again before it gives up.
const ASKS: u32 = 100;

const LOGIN_TESTS: &[&str] = &[
    "pm.test('the login succeeds', () => pm.response.to.have.status(200));",
    "const user = pm.response.json().user;",
    "pm.test('an authtoken comes back', () => pm.expect(user.authtoken).to.be.a('string').and.not.empty);",
    "pm.test('the organizations are listed', () => pm.expect(user.organizations).to.be.an('array').and.not.empty);",
    "pm.environment.set('authtoken', user.authtoken);",
    "if (!pm.environment.get('orgUid')) { pm.environment.set('orgUid', user.organizations[0].uid); }",
];

const LOGOUT_TESTS: &[&str] = &["pm.test('the authtoken is ended', () => pm.response.to.have.status(200));"];

/// Where no range is set, the last 30 days are asked about.
const LAST_30_DAYS: &[&str] = &[
    "const day = (ago) => new Date(Date.now() - ago * 86400000).toISOString().slice(0, 10);",
    "if (!pm.environment.get('from')) { pm.environment.set('from', day(30)); }",
    "if (!pm.environment.get('to')) { pm.environment.set('to', day(0)); }",
];

const SUBMIT_TESTS: &[&str] = &[
    "pm.test('the job is accepted', () => pm.response.to.have.status(200));",
    "const answer = pm.response.json();",
    "pm.test('a job id comes back', () => pm.expect(answer.jobId).to.match(/^job_[0-9a-f-]{36}$/));",
    "pm.test('the rate limit is told', () => pm.response.to.have.header('X-RateLimit-Limit'));",
    "pm.environment.set('jobId', answer.jobId);",
    "pm.environment.set('asked', 0);",
];

/// The collection, as Postman's format 2.1.
#[must_use]
pub fn collection() -> Value {
    let mut items = vec![json!({
        "name": "Log in",
        "event": [tests(LOGIN_TESTS)],
        "request": {
            "method": "POST",
            "description": "Makes a new authtoken; a user has at most 20, then the oldest ends.",
            "header": [{"key": "Content-Type", "value": "application/json"}],
            "body": {
                "mode": "raw",
                "raw": "{\"user\":{\"email\":\"{{email}}\",\"password\":\"{{password}}\"}}",
            },
            "url": url(&["v3", "user-session"], &[]),
        },
    })];
    items.extend(REPORTS.iter().map(|report| folder(report.about())));
    items.push(json!({
        "name": "Log out",
        "event": [tests(LOGOUT_TESTS)],
        "request": {
            "method": "DELETE",
            "description": "Ends the authtoken.",
            "header": [authtoken()],
            "url": url(&["v3", "user-session"], &[]),
        },
    }));
    json!({
        "info": {
            "name": "Tally",
            "description": "Reports of a Tally server: log in, submit a report, retrieve its data.",
            "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json",
        },
        "event": [script("prerequest", LAST_30_DAYS)],
        "item": items,
    })
}

/// The environment: what a person fills in, and what the requests hand on.
#[must_use]
pub fn environment() -> Value {
    let value = |key: &str, value: &str| json!({"key": key, "value": value, "enabled": true});
    json!({
        "name": "Tally",
        "values": [
            value("base_url", "http://127.0.0.1:8080"),
            value("email", ""),
            value("password", ""),
            value("authtoken", ""),
            value("orgUid", ""),
            value("from", ""),
            value("to", ""),
            value("jobId", ""),
            value("asked", "0"),
        ],
        "_postman_variable_scope": "environment",
    })
}

fn folder(about: &About) -> Value {
    let mut query =
        vec![pair("orgUid", "{{orgUid}}", None), pair("from", "{{from}}", None), pair("to", "{{to}}", None)];
    query.extend(about.parameters.iter().map(|accepted| {
        let parameter = accepted.parameter;
        // What is not required is there to be ticked.
        pair(parameter.name(), example(parameter), Some((parameter, !accepted.required)))
    }));
    let submit = json!({
        "name": format!("Submit {}", about.title),
        "event": [tests(SUBMIT_TESTS)],
        "request": {
            "method": "GET",
            "description": about.summary,
            "header": [authtoken()],
            "url": url(&["analytics", "v2", about.name], &query),
        },
    });
    let name = format!("Retrieve {}", about.title);
    let retrieve = json!({
        "name": name,
        "event": [tests(&retrieve_tests(&name, about))],
        "request": {
            "method": "GET",
            "description": "Answers *Job active* until the result is there, then the page.",
            "header": [authtoken()],
            "url": url(
                &["analytics", "v2", "job", "{{jobId}}", "data"],
                &[pair("orgUid", "{{orgUid}}", None), pair("page", "0", None)],
            ),
        },
    });
    json!({"name": about.title, "description": about.summary, "item": [submit, retrieve]})
}

fn retrieve_tests(name: &str, about: &About) -> Vec<String> {
    let names: Vec<&str> = about.columns.iter().map(|column| column.name).collect();
    let active = [
        "pm.test('the job has not failed', () => pm.response.to.have.status(200));".to_owned(),
        "const body = pm.response.json();".to_owned(),
        "const asked = Number(pm.environment.get('asked')) + 1;".to_owned(),
        "pm.environment.set('asked', asked);".to_owned(),
        format!("if (body.message === 'Job active' && asked < {ASKS}) {{"),
        format!("  pm.execution.setNextRequest({});", json!(name)),
        "} else {".to_owned(),
        "  pm.test('the result has rows', () => pm.expect(body.data).to.be.an('array').and.not.empty);".to_owned(),
    ];
    let counts = "  pm.test('the totals are told', () => pm.expect(body.total).to.be.at.least(1));";
    let finished = [
        format!("  pm.test('a row has its fields', () => pm.expect(body.data[0]).to.have.all.keys({}));", json!(names)),
        "  pm.test('the request is echoed', () => pm.expect(body.meta.orgUid).to.eql(pm.environment.get('orgUid')));"
            .to_owned(),
        "  pm.test('the result has a uid', () => pm.expect(body.uid).to.match(/^[0-9a-f-]{36}$/));".to_owned(),
        "  pm.test('the number of pages is told', () => pm.response.to.have.header('X-Page-Count'));".to_owned(),
        "}".to_owned(),
    ];
    let counts = about.paginated.then(|| counts.to_owned());
    active.into_iter().chain(counts).chain(finished).collect()
}

fn example(parameter: Parameter) -> &'static str {
    match parameter {
        Parameter::HttpStatusCode => "404",
        Parameter::Cache => "HIT",
        Parameter::ApiKey | Parameter::ProjectUid | Parameter::EnvironmentUid => "",
        other => other.default_value().unwrap_or_default(),
    }
}

fn pair(key: &str, value: &str, about: Option<(Parameter, bool)>) -> Value {
    match about {
        None => json!({"key": key, "value": value}),
        Some((parameter, disabled)) => {
            json!({"key": key, "value": value, "description": parameter.values(), "disabled": disabled})
        }
    }
}

fn url(path: &[&str], query: &[Value]) -> Value {
    let enabled = query.iter().filter(|pair| pair["disabled"] != json!(true));
    let pairs: Vec<String> = enabled
        .map(|pair| format!("{}={}", pair["key"].as_str().unwrap_or(""), pair["value"].as_str().unwrap_or("")))
        .collect();
    let question = if pairs.is_empty() { "" } else { "?" };
    json!({
        "raw": format!("{{{{base_url}}}}/{}{question}{}", path.join("/"), pairs.join("&")),
        "host": ["{{base_url}}"],
        "path": path,
        "query": query,
    })
}

fn authtoken() -> Value {
    json!({"key": "authtoken", "value": "{{authtoken}}"})
}

fn tests<T: AsRef<str>>(lines: &[T]) -> Value {
    script("test", lines)
}

fn script<T: AsRef<str>>(when: &str, lines: &[T]) -> Value {
    let lines: Vec<&str> = lines.iter().map(AsRef::as_ref).collect();
    json!({"listen": when, "script": {"type": "text/javascript", "exec": lines}})
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "`make bless` rewrites the files that this test compares")]
    fn the_files_in_docs_are_what_the_registry_says() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/postman");
        for (name, value) in [("collection", collection()), ("environment", environment())] {
            let path = folder.join(format!("tally.postman_{name}.json"));
            let generated = format!("{}\n", serde_json::to_string_pretty(&value).unwrap());
            if std::env::var_os("BLESS").is_some() {
                std::fs::create_dir_all(&folder).unwrap();
                std::fs::write(&path, &generated).unwrap();
            }
            let kept = std::fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(kept, generated, "`make bless` writes {}", path.display());
        }
    }
}
